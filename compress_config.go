package tursoopt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

func (c *Config) compressMin() int {
	if c.CompressMin == 0 {
		return DefaultCompressMin
	}
	return max(c.CompressMin, 0)
}

func (c *Config) compressGuard() bool { return c.CompressGuard == nil || *c.CompressGuard }

var errCompressColumns = errors.New("turso-opt: compress_columns: want table.column,... of names without a dot or a comma, each once")

func (c *Config) validateCompression() error {
	seen := map[string]bool{}
	for _, name := range c.CompressColumns {
		table, column, ok := strings.Cut(name, ".")
		if !ok || table == "" || column == "" || strings.ContainsAny(column, ".,") || strings.Contains(table, ",") || seen[strings.ToLower(name)] {
			return errCompressColumns
		}
		seen[strings.ToLower(name)] = true
	}
	return nil
}

func parseColumns(s string) (columns []string) {
	for name := range strings.SplitSeq(s, ",") {
		if name = strings.TrimSpace(name); name != "" {
			columns = append(columns, name)
		}
	}
	return columns
}

var sizeUnits = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// parseSize reads a number of bytes, with or without a unit.
func parseSize(s string) (int, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || n > uint64(1<<31-1)/uint64(u.bytes) {
			break
		}
		return int(n) * u.bytes, nil
	}
	return 0, fmt.Errorf("want a size such as 512, 4KiB or 1MiB")
}

func formatSize(n int) string {
	for _, u := range sizeUnits {
		if u.name != "B" && n > 0 && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return "0"
}
