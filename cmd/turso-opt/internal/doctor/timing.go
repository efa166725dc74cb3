package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// samples is how often a time is measured.
const samples = 9

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// roundTrip times the smallest request there is, which the server answers
// without a look at the database.
func roundTrip(ctx context.Context, p *patient) finding {
	var times []time.Duration
	for range samples {
		a, err := p.ask(ctx, http.MethodGet, "v2", nil)
		if err != nil {
			return fail(explain(err))
		}
		times = append(times, a.took)
	}
	p.roundTrip = median(times)
	return finding{status: ok, summary: fmt.Sprintf("%s, the median of %d (%s to %s)",
		ui.Duration(p.roundTrip), samples, ui.Duration(times[0]), ui.Duration(times[len(times)-1]))}
}

// query times SELECT 1 on a stream that is kept, and takes the time apart.
func query(ctx context.Context, p *patient) finding {
	defer p.endStream(ctx)
	var times, server []time.Duration
	for i := range samples + 1 {
		a, pa, err := p.pipeline(ctx, "SELECT 1")
		if err != nil {
			return fail(explain(err))
		}
		if pa == nil {
			return p.refusal(a)
		}
		if e := pa.Results[0].Error; e != nil {
			return fail("SELECT 1 failed: "+oneLine(e.Message), "look at the server's log")
		}
		if i == 0 {
			continue // it opens the stream
		}
		times = append(times, a.took)
		if ms := pa.Results[0].Response.Result.QueryDurationMS; ms != nil {
			server = append(server, time.Duration(*ms*float64(time.Millisecond)))
		}
	}
	total := median(times)
	f := finding{status: ok, summary: fmt.Sprintf("SELECT 1 takes %s, the median of %d (%s to %s)",
		ui.Duration(total), samples, ui.Duration(times[0]), ui.Duration(times[len(times)-1]))}
	if len(server) < samples {
		f.details = append(f.details, "the server does not say how long it worked on it")
		return f
	}
	onServer := median(server)
	f.details = append(f.details, fmt.Sprintf("SQLite %s, network and HTTP %s, the rest (the stream, JSON) %s",
		ui.Duration(onServer), ui.Duration(p.roundTrip), ui.Duration(max(0, total-p.roundTrip-onServer))))
	return f
}
