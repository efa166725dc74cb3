package tursoopt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A tableTTL is how old results may be by the tables that they are read from, whose
// names are in lower case. The zero value says nothing of any.
type tableTTL struct {
	others time.Duration // Config.CacheTTL
	tables map[string]time.Duration
}

func newTableTTL(cfg *Config) tableTTL {
	t := tableTTL{others: cfg.cacheTTL()}
	if len(cfg.CacheTableTTL) > 0 {
		t.tables = make(map[string]time.Duration, len(cfg.CacheTableTTL))
		for name, d := range cfg.CacheTableTTL {
			t.tables[strings.ToLower(name)] = d
		}
	}
	return t
}

// of is the shortest of those of tables. ok is false if one of them is not to be
// kept at all.
func (t *tableTTL) of(tables []string) (ttl time.Duration, ok bool) {
	ttl = t.others
	for i, name := range tables {
		d, given := t.tables[name]
		if !given {
			d = t.others
		}
		if i == 0 {
			ttl = d
		}
		ttl = min(ttl, d)
	}
	return ttl, ttl > 0
}

var errTableTTL = errors.New("want table:duration,... such as sessions:5s, or table:off for one that is never kept")

// parseTableTTL reads the parameter cache_table_ttl.
func parseTableTTL(s string) (map[string]time.Duration, error) {
	all := map[string]time.Duration{}
	for _, pair := range strings.Split(s, ",") {
		i := strings.LastIndexByte(pair, ':')
		if i < 0 {
			return nil, errTableTTL
		}
		name, value := pair[:i], pair[i+1:]
		var d time.Duration
		if value != "off" && value != "0" {
			var err error
			if d, err = time.ParseDuration(value); err != nil {
				return nil, errTableTTL
			}
		}
		if _, twice := all[name]; twice {
			return nil, errTableTwice
		}
		all[name] = d
	}
	return all, nil
}

func formatTableTTL(all map[string]time.Duration) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(name + ":")
		if d := all[name]; d != 0 {
			b.WriteString(d.String())
		} else {
			b.WriteString("off")
		}
	}
	return b.String()
}

var errTableTwice = errors.New("a table is named twice; names differ by more than the case of their letters")

func validateTableTTL(all map[string]time.Duration) error {
	seen := map[string]bool{}
	for name, d := range all {
		var err error
		switch folded := strings.ToLower(name); {
		case name == "":
			err = errors.New("a table has no name")
		case strings.Contains(name, ","):
			err = errors.New("a table's name has a comma, which a DSN cannot tell from the next table")
		case d < 0:
			err = errors.New("want no negative durations; 0 is for a table that is never kept")
		case seen[folded]:
			err = errTableTwice
		default:
			seen[folded] = true
			continue
		}
		return fmt.Errorf("turso-opt: cache_table_ttl: %w", err)
	}
	return nil
}
