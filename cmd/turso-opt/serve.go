package main

import (
	"context"
	"slices"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/serve"
)

const serveAbout = `
Usage: turso-opt serve [flags]

Runs the libSQL server that is part of package hranatest, for development and
tests: it is no server for data that matter. It prints its URL and ends on Ctrl-C.
`

func (a *app) serve(ctx context.Context, args []string) error {
	f := newFlags("serve", serveAbout)
	var o serve.Options
	f.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "listen on `host:port`; port 0 takes a free one")
	f.StringVar(&o.DB, "db", "", "SQLite `file`, made if it is not there; in memory if not given")
	f.StringVar(&o.Profile, "profile", serve.Profiles()[0], "`manners` of the server: "+strings.Join(serve.Profiles(), ", "))
	f.StringVar(&o.Token, "token", "", "the `token` that clients must send; none if not given")
	eof := f.Bool("until-eof", false, "end also when the input ends, for programs that start it")
	if _, err := f.parse(args, 0, a.stdout); err != nil {
		return err
	}
	if !slices.Contains(serve.Profiles(), o.Profile) {
		return usagef("--profile: want %s", strings.Join(serve.Profiles(), ", "))
	}
	if *eof {
		o.Input = a.stdin
	}
	return serve.Run(ctx, o, a.stdout, a.stderr)
}
