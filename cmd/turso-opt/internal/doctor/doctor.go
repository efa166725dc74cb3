// Package doctor looks at a database step by step, from its DSN to a query
// through the driver, and explains what is wrong in words that say what to do.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// DefaultTimeout is how long one step may take.
const DefaultTimeout = 10 * time.Second

// Options say what is looked at.
type Options struct {
	// DSN may be empty: the environment's then.
	DSN     string
	Getenv  func(string) string
	Timeout time.Duration
}

// status is how a step came out.
type status string

const (
	ok      status = "ok"
	warning status = "warn"
	failure status = "FAIL"
	skipped status = "-"
)

// A finding is what a step found out.
type finding struct {
	status  status
	summary string
	details []string
	// advice says what to do about a warning or failure.
	advice string
	// ends: what follows cannot be looked at.
	ends bool
}

// A check is one step.
type check struct {
	name string
	run  func(ctx context.Context, p *patient) finding
}

// checks are in the order in which a connection comes about, so that the first
// failure is the cause of all that would follow.
var checks = []check{
	{"DNS", resolve},
	{"TCP", connect},
	{"TLS", handshake},
	{"server", hello},
	{"protocols", protocols},
	{"round trip", roundTrip},
	{"query", query},
	{"encodings", encodings},
	{"settings", settings},
	{"limits", limits},
	{"driver", throughDriver},
	{"columns", columns},
}

// Run writes what it finds to out. It reports whether the database can be used;
// err is for what keeps it from looking at all.
func Run(ctx context.Context, o Options, out io.Writer) (healthy bool, err error) {
	cfg, err := target.ConfigFor(o.DSN, o.Getenv)
	if errors.Is(err, target.ErrNoDatabase) {
		return false, err
	}
	if err != nil {
		return false, write(out, "DSN", unreadable(err))
	}
	return inspect(ctx, newPatient(cfg, o.DSN == ""), o.Timeout, out)
}

// inspect takes all steps, up to the first that nothing can follow.
func inspect(ctx context.Context, p *patient, limit time.Duration, out io.Writer) (healthy bool, err error) {
	defer p.close()
	out = &target.Scrubber{W: out, Secrets: target.Secrets(p.cfg)}
	if _, err := fmt.Fprintf(out, "database %s\n\n", p.cfg); err != nil {
		return false, err
	}
	f := p.examineDSN(time.Now())
	if err := write(out, "DSN", f); err != nil || f.status == failure {
		return false, err
	}
	healthy = true
	for i, c := range checks {
		f := p.examine(ctx, c, limit)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err := write(out, c.name, f); err != nil {
			return false, err
		}
		if f.status == failure {
			healthy = false
			if f.ends && i < len(checks)-1 {
				return false, write(out, "the rest", notReached(c, checks[i+1:]))
			}
		}
	}
	return healthy, nil
}

// notReached says what was not looked at.
func notReached(after check, rest []check) finding {
	var names []string
	for _, c := range rest {
		names = append(names, c.name)
	}
	return finding{status: skipped, summary: "not looked at, since " + after.name + " failed: " + strings.Join(names, ", ")}
}

func (p *patient) examine(ctx context.Context, c check, limit time.Duration) finding {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.run(ctx, p)
}

// The widths of the first two columns.
const (
	statusWidth = 6
	nameWidth   = 12
)

// write writes a finding in one piece.
func write(w io.Writer, name string, f finding) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s%-*s%s\n", statusWidth, f.status, nameWidth, name, f.summary)
	indent := strings.Repeat(" ", statusWidth+nameWidth)
	for _, d := range f.details {
		b.WriteString(indent + d + "\n")
	}
	if f.advice != "" {
		b.WriteString(indent + "What to do: " + f.advice + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func fail(summary, advice string) finding {
	return finding{status: failure, summary: summary, advice: advice, ends: true}
}
