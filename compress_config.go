package tursoopt

import (
	"errors"
	"fmt"
	"strings"

	"github.com/turso-opt/turso-opt/internal/frame"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

func (c *Config) compressMin() int {
	if c.CompressMin == 0 {
		return DefaultCompressMin
	}
	return max(c.CompressMin, 0)
}

var errAlgorithm = errors.New("want lz4 or zstd")

// algorithm is that of a name.
func algorithm(name string) (frame.Algorithm, error) {
	switch name {
	case "", AlgorithmLZ4:
		return frame.LZ4, nil
	case AlgorithmZstd:
		return frame.Zstd, nil
	}
	return 0, errAlgorithm
}

func (c *Config) compressGuard() bool { return c.CompressGuard == nil || *c.CompressGuard }

var errCompress = errors.New("want auto or off")

// parseCompress takes what a switch takes, too.
func parseCompress(s string) (string, error) {
	switch s {
	case "", CompressAuto, CompressOff:
		return s, nil
	}
	on, err := parseSwitch(s)
	switch {
	case err != nil:
		return "", errCompress
	case *on:
		return CompressAuto, nil
	}
	return CompressOff, nil
}

var errCompressColumns = errors.New("turso-opt: compress_columns: want table.column,... of names without a dot or a comma, each once")

func (c *Config) validateCompression() error {
	switch c.Compress {
	case "", CompressAuto, CompressOff:
	default:
		return fmt.Errorf("turso-opt: compress: %w", errCompress)
	}
	if _, err := algorithm(c.CompressAlgorithm); err != nil {
		return fmt.Errorf("turso-opt: compress_algorithm: %w", err)
	}
	seen := map[string]bool{}
	for _, name := range c.CompressColumns {
		table, column, ok := strings.Cut(name, ".")
		if !ok || table == "" || column == "" || strings.ContainsAny(column, ".,") || strings.Contains(table, ",") || seen[sqltext.Lower(name)] {
			return errCompressColumns
		}
		seen[sqltext.Lower(name)] = true
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
