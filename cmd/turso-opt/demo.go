package main

import (
	"context"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/demo"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

const demoAbout = `
Usage: turso-opt demo [flags]

Runs one small workload through libsql-client-go and through turso-opt and prints
what each needed: time, HTTP requests, bytes, connections, memory. It starts an
embedded server, or takes the database that --url or TURSO_DATABASE_URL names; there
it makes a table of 1,000 rows with a name of its own and removes it again.
`

func (a *app) demo(ctx context.Context, args []string) error {
	f := newFlags("demo", demoAbout)
	url := f.String("url", "", "the database's `dsn`; a token may be in TURSO_AUTH_TOKEN")
	rtt := f.Duration("rtt", demo.DefaultRTT, "round-trip `time` of the network emulated in front of the embedded server")
	if _, err := f.parse(args, 0, a.stdout); err != nil {
		return err
	}
	if *rtt < 0 {
		return usagef("--rtt: a time cannot be negative")
	}
	server := *url
	if server == "" {
		// With nothing but Go on a machine it must run, and be the same everywhere.
		if server = a.getenv(target.EnvURL); server == "" {
			server = target.Embedded
		}
	}
	o, err := a.target(server)
	if err != nil {
		return err
	}
	return demo.Run(ctx, demo.Options{Target: o, RTT: *rtt}, a.stdout, a.stderr)
}
