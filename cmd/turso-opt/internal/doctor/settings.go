package doctor

import (
	"context"
	"fmt"
	"strings"
)

// cell is the first value of a result.
func (pa *pipelineAnswer) cell(i int) (text string, ok bool) {
	rows := pa.Results[i].Response.Result.Rows
	if pa.Results[i].Error != nil || len(rows) == 0 || len(rows[0]) == 0 || rows[0][0].Value == nil {
		return "", false
	}
	return fmt.Sprint(rows[0][0].Value), true
}

func settings(ctx context.Context, p *patient) finding {
	defer p.endStream(ctx)
	a, pa, err := p.pipeline(ctx, "PRAGMA foreign_keys", "SELECT sqlite_version()")
	if err != nil {
		return fail(explain(err))
	}
	if pa == nil {
		return p.refusal(a)
	}
	f := finding{status: ok}
	switch on, known := pa.cell(0); {
	case !known:
		f.summary = "the server does not say whether foreign keys are enforced"
	case on == "1":
		f.summary = "foreign keys are enforced"
	default:
		f.status, f.summary = warning, "foreign keys are not enforced"
		f.advice = "if the schema relies on them, PRAGMA foreign_keys=on on each connection, or have the server do so"
	}
	if v, known := pa.cell(1); known {
		f.summary += ", SQLite " + v
	}
	return f
}

// sqldLimits were measured on sqld 0.24.32.
var sqldLimits = []string{
	"128 streams at a time; one more waits a second and is refused with 429",
	"a stream ends after 10 s without a request",
	"a transaction older than 5 s is taken away when another writer waits",
	"10 MB for the result of one statement or batch, 5 MB for a value; the driver streams larger results of reads",
}

// limits says what is known of the server, which is never asked to prove it.
func limits(ctx context.Context, p *patient) finding {
	f := finding{status: ok, summary: "not known for this server"}
	if strings.HasPrefix(p.version, "sqld ") {
		f.summary, f.details = "those of sqld:", append(f.details, sqldLimits...)
	}
	defer p.endStream(ctx)
	_, pa, err := p.pipeline(ctx, "PRAGMA compile_options")
	if err != nil || pa == nil || pa.Results[0].Error != nil {
		return f // the pragma is not everywhere, and no driver needs it
	}
	var sql []string
	for _, row := range pa.Results[0].Response.Result.Rows {
		if len(row) == 0 {
			continue
		}
		name, value, _ := strings.Cut(fmt.Sprint(row[0].Value), "=")
		if what := sqliteLimits[name]; what != "" {
			sql = append(sql, value+" "+what)
		}
	}
	if sql != nil {
		f.details = append(f.details, "SQLite's: "+strings.Join(sql, ", "))
		if f.summary == "not known for this server" {
			f.summary = "the server's own are not known"
		}
	}
	return f
}

// sqliteLimits are those that programs run into, by SQLite's names.
var sqliteLimits = map[string]string{
	"MAX_VARIABLE_NUMBER": "parameters",
	"MAX_COLUMN":          "columns",
	"MAX_COMPOUND_SELECT": "terms of a compound SELECT",
	"MAX_SQL_LENGTH":      "bytes of SQL",
}
