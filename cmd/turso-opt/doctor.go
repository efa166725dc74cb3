package main

import (
	"context"
	"errors"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/doctor"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

const doctorAbout = `
Usage: turso-opt doctor [DSN] [flags]

Looks at a database step by step: the DSN, the host's name, the connection, TLS, the
server and the token, protocol versions, times, settings, limits, and a query through
the driver. What is wrong is explained. It only reads, and prints no credentials.
Without a DSN it takes TURSO_DATABASE_URL and TURSO_AUTH_TOKEN. A shell keeps what is
typed, so a token is better there than on the command line.

The exit status is 1 if something is wrong.
`

func (a *app) doctor(ctx context.Context, args []string) error {
	f := newFlags("doctor", doctorAbout)
	timeout := f.Duration("timeout", doctor.DefaultTimeout, "how `long` each step may take")
	rest, err := f.parse(args, 1, a.stdout)
	if err != nil {
		return err
	}
	if *timeout <= 0 {
		return usagef("--timeout: must be more than nothing")
	}
	o := doctor.Options{Getenv: a.getenv, Timeout: *timeout}
	if len(rest) > 0 {
		o.DSN = rest[0]
	}
	healthy, err := doctor.Run(ctx, o, a.stdout)
	switch {
	case errors.Is(err, target.ErrNoDatabase):
		return usagef("%v", err)
	case err != nil:
		return err
	case !healthy:
		return errQuiet // the output says what
	}
	return nil
}
