package main

import (
	"context"
	"errors"
	"io"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/pack"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

const compressAbout = `
Usage: turso-opt compress estimate|rewrite|undo [DSN] [flags]

estimate samples a database and says for each column what compress_columns would save by
LZ4 and by zstd, and what in the schema it would break. It only reads.

rewrite compresses what is already stored in the columns that --columns names, also what
another algorithm has, and undo gives them back their plain values. Both work in small transactions, can be stopped at any
time, and go on from there when they are run again; a program may use the database
meanwhile, if it has these columns in compress_columns. The table turso_opt_compress holds
how far they have come, and is gone when they are done.

Without a DSN they take TURSO_DATABASE_URL and TURSO_AUTH_TOKEN.
`

func (a *app) compress(ctx context.Context, args []string) error {
	f := newFlags("compress", compressAbout)
	var o pack.Options
	columns := f.String("columns", "", "`table.column,...` to convert, or to look at")
	f.IntVar(&o.Min, "min", tursoopt.DefaultCompressMin, "compress values from so many `bytes`")
	f.IntVar(&o.Sample, "sample", 1000, "how many `rows` of each column estimate looks at")
	f.IntVar(&o.Rows, "rows", 100, "how many `rows` one transaction looks at")
	f.BoolVar(&o.DryRun, "dry-run", false, "count, and change nothing")
	f.BoolVar(&o.Force, "force", false, "convert a column although the schema uses it, or a trigger runs")
	by := f.String("algorithm", "", "`lz4 or zstd`, what rewrite compresses by (default lz4, or the DSN's)")
	rest, err := f.parse(args, 2, a.stdout)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return usagef("want estimate, rewrite or undo")
	}
	run, ok := map[string]func(context.Context, pack.Options, io.Writer) error{
		"estimate": pack.Estimate, "rewrite": pack.Rewrite, "undo": pack.Undo,
	}[rest[0]]
	dsn := ""
	if len(rest) > 1 {
		dsn = rest[1]
	}
	switch {
	case !ok:
		return usagef("want estimate, rewrite or undo, not %q", rest[0])
	case o.Min < 0:
		return usagef("--min: must not be negative")
	case o.Sample < 1:
		return usagef("--sample: must be 1 at least")
	case o.Rows < 1:
		return usagef("--rows: must be 1 at least")
	}
	o.Config, err = target.ConfigFor(dsn, a.getenv)
	switch {
	case errors.Is(err, target.ErrNoDatabase):
		return usagef("%v", err)
	case err != nil:
		return err
	}
	switch *by {
	case "":
	case tursoopt.AlgorithmLZ4, tursoopt.AlgorithmZstd:
		o.Config.CompressAlgorithm = *by
	default:
		return usagef("--algorithm: want lz4 or zstd")
	}
	if o.Columns = o.Config.CompressColumns; *columns != "" {
		o.Columns = splitList(*columns)
	}
	if len(o.Columns) == 0 && rest[0] != "estimate" {
		return usagef("--columns: which columns?")
	}
	err = run(ctx, o, a.stdout)
	if errors.Is(err, pack.ErrLeft) {
		return errQuiet // the output says which
	}
	return err
}

// splitList divides at commas.
func splitList(s string) (parts []string) {
	for p := range strings.SplitSeq(s, ",") {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}
