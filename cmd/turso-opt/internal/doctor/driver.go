package doctor

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// throughDriver runs a query as a program would.
func throughDriver(ctx context.Context, p *patient) finding {
	c, err := tursoopt.NewConnector(p.cfg)
	if err != nil {
		return fail(plain(err), "look at the DSN's parameters")
	}
	db := sql.OpenDB(c)
	defer db.Close()
	var first time.Duration
	var times []time.Duration
	for i := range samples + 1 {
		var one int
		began := time.Now()
		if err := db.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
			return fail("SELECT 1 through the driver failed: "+plain(err),
				"the steps above succeeded, so this may be a fault of the driver; please report it with this output")
		}
		if i == 0 {
			first = time.Since(began)
			continue
		}
		times = append(times, time.Since(began))
	}
	return finding{
		status: ok,
		summary: fmt.Sprintf("SELECT 1 takes %s, the median of %d (%s to %s); the first, with connecting, took %s",
			ui.Duration(median(times)), samples, ui.Duration(times[0]), ui.Duration(times[len(times)-1]), ui.Duration(first)),
		details: []string{"layers: " + strings.Join(c.Layers(), " > ")},
	}
}
