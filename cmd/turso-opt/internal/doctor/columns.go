package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/pack"
)

// columns looks at those that the DSN has compressed, if there are any.
func columns(ctx context.Context, p *patient) finding {
	n := len(p.cfg.CompressColumns)
	if n == 0 {
		return finding{status: skipped, summary: "the DSN has none compressed (compress_columns)"}
	}
	missing, broken, err := pack.Doubts(ctx, p.cfg)
	if err != nil {
		return finding{status: warning, summary: "the schema cannot be read: " + plain(err), advice: "the driver needs it for compress_columns, and refuses statements without"}
	}
	f := finding{status: ok, summary: fmt.Sprintf("%d compressed: %s", n, strings.Join(p.cfg.CompressColumns, ", "))}
	if len(missing)+len(broken) > 0 {
		f.status, f.details = warning, append(missing, broken...)
	}
	switch {
	case len(broken) > 0:
		f.advice = "change the schema, or take the column out of compress_columns: the driver refuses statements that would see a compressed form"
	case len(missing) > 0:
		f.advice = "look for a typing error in compress_columns; a column that is not there yet is compressed as soon as it is"
	}
	return f
}
