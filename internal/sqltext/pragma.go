package sqltext

import "strings"

// A pragmaForm says in which forms a PRAGMA is known to be harmless.
type pragmaForm uint8

const (
	bare     pragmaForm = 1 << iota // PRAGMA name
	argument                        // PRAGMA name(x), PRAGMA name = x
)

// readingPragmas are those that change nothing, neither in the database nor on
// the connection. What stands in no list here is taken to set something.
var readingPragmas = map[string]pragmaForm{
	// The argument says what to read.
	"table_info": bare | argument, "table_xinfo": bare | argument, "table_list": bare | argument,
	"index_list": bare | argument, "index_info": bare | argument, "index_xinfo": bare | argument,
	"foreign_key_list": bare | argument, "foreign_key_check": bare | argument,
	"integrity_check": bare | argument, "quick_check": bare | argument,

	"database_list": bare, "collation_list": bare, "function_list": bare,
	"module_list": bare, "pragma_list": bare, "compile_options": bare,
	"page_count": bare, "freelist_count": bare, "data_version": bare,

	// With a value these are settings.
	"analysis_limit": bare, "application_id": bare, "auto_vacuum": bare,
	"automatic_index": bare, "busy_timeout": bare, "cache_size": bare,
	"cache_spill": bare, "cell_size_check": bare, "checkpoint_fullfsync": bare,
	"count_changes": bare, "defer_foreign_keys": bare, "encoding": bare,
	"foreign_keys": bare, "full_column_names": bare, "fullfsync": bare,
	"ignore_check_constraints": bare, "journal_mode": bare,
	"journal_size_limit": bare, "legacy_alter_table": bare, "locking_mode": bare,
	"max_page_count": bare, "mmap_size": bare, "page_size": bare,
	"query_only": bare, "read_uncommitted": bare, "recursive_triggers": bare,
	"reverse_unordered_selects": bare, "schema_version": bare,
	"secure_delete": bare, "short_column_names": bare, "synchronous": bare,
	"temp_store": bare, "threads": bare, "trusted_schema": bare,
	"user_version": bare, "wal_autocheckpoint": bare, "writable_schema": bare,
}

// writingPragmas write to the database and leave nothing on the connection.
var writingPragmas = map[string]pragmaForm{
	"application_id": argument, "user_version": argument,
	"incremental_vacuum": bare | argument, "optimize": bare | argument,
	"wal_checkpoint": bare | argument,
}

// PragmaName is the name of the PRAGMA that a statement is, in lower case and without
// the database's; "" if it is none, or has none that could be read.
func (s *Stmt) PragmaName() string {
	if s.Kind != Pragma {
		return ""
	}
	sc := scanner{sql: s.SQL, nul: strings.IndexByte(s.SQL, 0)}
	toks, _ := sc.statement(nil)
	if len(toks) < 2 {
		return ""
	}
	toks = toks[1:] // the word PRAGMA
	if len(toks) > 2 && toks[1].class == dot {
		toks = toks[2:]
	}
	name, _ := identifier(s.SQL, toks[0])
	return strings.ToLower(name)
}

// pragma sorts a PRAGMA by what follows that word.
func pragma(h *head) (readOnly, stateful bool) {
	if len(h.toks) == 0 {
		return false, true
	}
	name, ok := identifier(h.sql, h.toks[0])
	h.skip()
	if h.peek() == dot {
		h.skip()
		if len(h.toks) == 0 {
			return false, true
		}
		name, ok = identifier(h.sql, h.toks[0])
		h.skip()
	}
	if !ok {
		return false, true
	}
	form := bare
	if len(h.toks) > 0 {
		form = argument
	}
	name = strings.ToLower(name)
	readOnly = readingPragmas[name]&form != 0
	return readOnly, !readOnly && writingPragmas[name]&form == 0
}

// identifier is the name that a token stands for where SQLite expects one.
func identifier(sql string, t token) (string, bool) {
	s := sql[t.start:t.end]
	switch t.class {
	case word:
		return s, true
	case quoted, str:
		in := s[1 : len(s)-1]
		if q := s[:1]; q != "[" && strings.Contains(in, q) {
			in = strings.ReplaceAll(in, q+q, q)
		}
		return in, true
	}
	return "", false
}
