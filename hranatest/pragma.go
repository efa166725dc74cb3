package hranatest

import (
	"regexp"
	"strings"
)

// The PRAGMAs that sqld serves in any form to whoever may read, those for which
// it wants the right to write, and those of these that it serves only without a
// value. All others it refuses.
var (
	readPragma = words(`table_list index_list table_info table_xinfo index_info index_xinfo pragma_list
		compile_options database_list function_list module_list encoding`)
	anyPragma = words(`defer_foreign_keys foreign_keys foreign_key_list foreign_key_check collation_list
		data_version freelist_count integrity_check legacy_file_format page_count quick_check stats user_version`)
	barePragma = words(`analysis_limit application_id auto_vacuum automatic_index busy_timeout cache_size
		cache_spill cell_size_check checkpoint_fullfsync fullfsync hard_heap_limit journal_mode
		journal_size_limit legacy_alter_table locking_mode max_page_count mmap_size page_size query_only
		read_uncommitted recursive_triggers reverse_unordered_selects schema_version secure_delete
		soft_heap_limit synchronous temp_store threads trusted_schema wal_autocheckpoint`)
)

func words(list string) map[string]bool {
	set := make(map[string]bool)
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// fixedPragma are those whose answers sqld's storage decides, not this one's.
var fixedPragma = map[string]string{
	"journal_mode": "SELECT 'wal' AS journal_mode",
	"mmap_size":    "SELECT 0 AS mmap_size",
}

var pragmaForm = regexp.MustCompile(`(?is)^pragma\s+(?:["\x60\[]?\w+["\x60\]]?\s*\.\s*)?["\x60\[]?(\w+)["\x60\]]?\s*([=(])?`)

// pragma is the name of a PRAGMA in lower case, whether it is without a value,
// and whether that is all.
func pragma(sql string) (name string, bare, whole bool) {
	m := pragmaForm.FindStringSubmatch(sql)
	if m == nil {
		return "", false, false
	}
	return strings.ToLower(m[1]), m[2] == "", m[0] == sql
}
