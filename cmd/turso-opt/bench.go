package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

const benchAbout = `
Usage: turso-opt bench [flags]

Measures turso-opt ("ours") against libsql-client-go ("base"), both in the same run on
the same server, and prints each figure with its goal. Each scenario gets a fresh
server: sqld if it is installed (tools/sqld.sh), or else the embedded one. With
--server URL, or TURSO_DATABASE_URL set, the scenarios run on that database, in tables
with names of their own that are removed again, and no goal is judged: the goals are
for servers on this machine.

The exit status is 0 if everything ran; with --check also unmet goals make it 1.
`

// benchFlags are what bench is asked for.
type benchFlags struct {
	list, check, short   bool
	scenarios, server    string
	rtt                  string
	time                 time.Duration
	rounds               int
	json, markdown, plot string
	plotFormat           string
}

func (a *app) bench(ctx context.Context, args []string) error {
	var o benchFlags
	f := newFlags("bench", benchAbout)
	f.BoolVar(&o.list, "list", false, "list the scenarios and their goals, and do nothing")
	f.StringVar(&o.scenarios, "scenario", "", "`names` or numbers of scenarios, separated by commas; all if not given")
	f.StringVar(&o.server, "server", target.Auto, "auto, sqld, embedded or a `dsn`")
	f.StringVar(&o.rtt, "rtt", "", "emulate this round-trip `time` in place of each scenario's own")
	f.DurationVar(&o.time, "time", bench.DefaultTime, "`time` for each side of a scenario")
	f.IntVar(&o.rounds, "rounds", bench.DefaultRounds, "`number` of rounds in which the sides take turns")
	f.BoolVar(&o.short, "short", false, "try it out: small tables, no goal is judged")
	f.StringVar(&o.json, "json", "", "write the report as JSON into `file` (- for the output)")
	f.StringVar(&o.markdown, "markdown", "", "write it as Markdown into `file` (- for the output)")
	f.StringVar(&o.plot, "plot", "", "draw it into the folder `dir`")
	f.StringVar(&o.plotFormat, "plot-format", bench.PlotFormats[0], strings.Join(bench.PlotFormats, " or ")+", the `format` of --plot")
	f.BoolVar(&o.check, "check", false, "fail if a goal is not met")
	if _, err := f.parse(args, 0, a.stdout); err != nil {
		return err
	}
	scenarios, err := bench.Select(o.scenarios)
	if err != nil {
		return usagef("--scenario: %v", err)
	}
	if o.list {
		return bench.List(a.stdout, scenarios)
	}
	opts, err := a.benchOptions(&o)
	if err != nil {
		return err
	}
	if scenarios, err = a.bearable(scenarios, &o, opts); err != nil {
		return err
	}
	opts.Progress = ui.NewProgress(a.stderr, bench.Steps(scenarios))
	report, err := bench.Run(ctx, scenarios, opts)
	opts.Progress.Done()
	report.Command = a.commandLine(opts)
	if werr := a.write(report, &o); werr != nil || err != nil {
		return errors.Join(err, werr)
	}
	if report.Failed() || o.check && report.Missed() {
		return errQuiet // the report says what
	}
	return nil
}

func (a *app) benchOptions(o *benchFlags) (bench.Options, error) {
	opts := bench.Options{Time: o.time, Rounds: o.rounds, Short: o.short}
	if o.time <= 0 {
		return opts, usagef("--time: must be more than nothing")
	}
	if o.rounds < 1 {
		return opts, usagef("--rounds: must be at least 1")
	}
	if !slices.Contains(bench.PlotFormats, o.plotFormat) {
		return opts, usagef("--plot-format: want %s", strings.Join(bench.PlotFormats, " or "))
	}
	if o.rtt != "" {
		rtt, err := time.ParseDuration(o.rtt)
		if err != nil || rtt < 0 {
			return opts, usagef("--rtt: want a time such as 20ms")
		}
		opts.RTT = &rtt
	}
	var err error
	opts.Target, err = a.target(o.server)
	return opts, err
}

// bearable leaves out what nobody would want on a database of theirs without
// having asked for it.
func (a *app) bearable(scenarios []*bench.Scenario, o *benchFlags, opts bench.Options) ([]*bench.Scenario, error) {
	server, err := target.Resolve(opts.Target)
	if err != nil {
		return nil, err
	}
	if server == target.Sqld || server == target.Embedded || o.scenarios != "" {
		return scenarios, nil
	}
	return slices.DeleteFunc(slices.Clone(scenarios), func(s *bench.Scenario) bool {
		if s.Heavy {
			fmt.Fprintf(a.stderr, "scenario %s is left out: its tables are large; --scenario %s asks for it\n", s.ID, s.ID)
		}
		return s.Heavy
	}), nil
}

// write prints the report, unless a file format takes its place on the output,
// and writes the files.
func (a *app) write(report *bench.Report, o *benchFlags) error {
	if o.json != "-" && o.markdown != "-" {
		if err := report.Text(a.stdout); err != nil {
			return err
		}
	}
	if err := a.writeFile(o.json, report.JSON); err != nil {
		return err
	}
	if err := a.writeFile(o.markdown, report.Markdown); err != nil {
		return err
	}
	if o.plot == "" {
		return nil
	}
	files, err := report.Plot(o.plot, o.plotFormat)
	for _, file := range files {
		fmt.Fprintf(a.stderr, "wrote %s\n", file)
	}
	return err
}

func (a *app) writeFile(name string, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case "-":
		return write(a.stdout)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wrote %s\n", name)
	return nil
}

// commandLine is how the report was made, without the credentials that a DSN on
// the command line may hold.
func (a *app) commandLine(o bench.Options) string {
	words := []string{"turso-opt"}
	for _, word := range a.args[min(1, len(a.args)):] {
		if dsn := o.Target.Server; dsn != target.Auto && strings.HasSuffix(word, dsn) {
			if cfg, err := target.ConfigFor(dsn, func(string) string { return "" }); err == nil {
				word = strings.TrimSuffix(word, dsn) + cfg.String()
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
