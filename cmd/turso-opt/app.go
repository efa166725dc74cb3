package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1 // it was done, or tried, and the outcome is bad
	exitUsage  = 2 // it was not understood
)

// An app is the command in its surroundings, which tests replace.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	args           []string               // the whole command line, for reports
	self           func() (string, error) // this program's file
	selfEnv        []string               // what it needs in its environment
}

// A command is one of the subcommands.
type command struct {
	name    string
	summary string
	run     func(a *app, ctx context.Context, args []string) error
}

func commands() []command {
	return []command{
		{"demo", "the same work through libsql-client-go and turso-opt, side by side", (*app).demo},
		{"bench", "measure both drivers, each figure against its goal", (*app).bench},
		{"doctor", "check a database step by step, and explain what is wrong", (*app).doctor},
		{"compress", "say what compressing columns would save, and convert them both ways", (*app).compress},
		{"serve", "run an embedded libSQL server", (*app).serve},
		{"version", "print versions", (*app).version},
	}
}

// errQuiet is a failure that has been told already.
var errQuiet = errors.New("failed")

// A usageError says that the command line was not understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// run runs a command line without the program's name and gives the exit status.
func (a *app) run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		a.usage(a.stderr)
		return exitUsage
	}
	name, rest := args[0], args[1:]
	switch name {
	case "help", "-h", "-help", "--help":
		if len(rest) == 0 || name != "help" {
			a.usage(a.stdout)
			return exitOK
		}
		name, rest = rest[0], []string{"-h"}
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return a.status(ctx, c, c.run(a, ctx, rest))
		}
	}
	fmt.Fprintf(a.stderr, "turso-opt: there is no command %q\n\n", name)
	a.usage(a.stderr)
	return exitUsage
}

func (a *app) status(ctx context.Context, c command, err error) int {
	var usage usageError
	switch {
	case err == nil, errors.Is(err, errHelp):
		return exitOK
	case errors.Is(err, errQuiet):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "turso-opt %s: %v\nRun \"turso-opt %s -h\" for help.\n", c.name, err, c.name)
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintf(a.stderr, "turso-opt %s: interrupted\n", c.name)
		return exitFailed
	}
	fmt.Fprintf(a.stderr, "turso-opt %s: %v\n", c.name, err)
	return exitFailed
}

func (a *app) usage(w io.Writer) {
	fmt.Fprint(w, "turso-opt shows, measures and checks the database/sql driver turso-opt for Turso and libSQL.\n\nUsage: turso-opt COMMAND [flags]\n\n")
	t := ui.Table{Left: 2}
	for _, c := range commands() {
		t.Add("  "+c.name, c.summary)
	}
	_, _ = t.WriteTo(w) // as the lines around it: nobody could be told
	fmt.Fprintf(w, "\n\"turso-opt COMMAND -h\" explains a command. %s and %s name a database\nwhere none is given.\n", target.EnvURL, target.EnvToken)
}

// target is how a database is got at by those commands that may start one.
func (a *app) target(server string) (target.Options, error) {
	self, err := a.self()
	if err != nil {
		return target.Options{}, fmt.Errorf("this program's own file cannot be found: %w", err)
	}
	return target.Options{Server: server, Getenv: a.getenv, Child: target.Command{
		Path: self, Args: strings.Fields("serve --addr 127.0.0.1:0 --until-eof"), Env: a.selfEnv,
	}}, nil
}
