package main

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	all := func(text string) bool {
		for _, c := range commands() {
			if !strings.Contains(text, "  "+c.name) || !strings.Contains(text, c.summary) {
				return false
			}
		}
		return true
	}
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		o := run(t, nil, args...)
		o.want(t, exitOK)
		if !all(o.stdout) || o.stderr != "" {
			t.Errorf("%v does not list the commands on the output alone", args)
		}
	}
	for _, args := range [][]string{{}, {"nonsense"}} {
		o := run(t, nil, args...)
		o.want(t, exitUsage)
		if !all(o.stderr) || o.stdout != "" {
			t.Errorf("%v does not list the commands on the error output alone", args)
		}
	}
}

func TestHelpOfEachCommand(t *testing.T) {
	for _, c := range commands() {
		t.Run(c.name, func(t *testing.T) {
			o := run(t, nil, c.name, "-h")
			o.want(t, exitOK, "Usage: turso-opt "+c.name)
			if o.stderr != "" {
				t.Errorf("help writes to the error output: %s", o.stderr)
			}
			if other := run(t, nil, "help", c.name); other != o {
				t.Error("help NAME is not NAME -h")
			}
		})
	}
}

func TestHelpExplainsEveryFlag(t *testing.T) {
	run(t, nil, "bench", "-h").want(t, exitOK,
		"--scenario NAMES", "--rtt TIME", "--json FILE", "--markdown FILE", "--plot DIR", "--check", "(default auto)", "(default 5s)")
	run(t, nil, "serve", "-h").want(t, exitOK, "--addr HOST:PORT", "--profile MANNERS", "sqld, cloud, v2")
	run(t, nil, "demo", "-h").want(t, exitOK, "--url DSN", "TURSO_DATABASE_URL")
	run(t, nil, "doctor", "-h").want(t, exitOK, "--timeout LONG", "TURSO_AUTH_TOKEN")
}

func TestCommandLinesThatAreNotUnderstood(t *testing.T) {
	for _, line := range []string{
		"demo --nonsense", "demo word", "demo --rtt -1s", "demo --rtt soon",
		"bench --nonsense", "bench word", "bench --scenario none", "bench --time 0s", "bench --rounds 0",
		"bench --rtt soon", "bench --rtt -1ms", "bench --plot-format gif",
		"serve --nonsense", "serve --profile none",
		"doctor --timeout 0s http://127.0.0.1:1", "doctor a b", "doctor",
		"version word",
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.Fields(line)
			o := run(t, nil, args...)
			o.want(t, exitUsage)
			if o.stdout != "" || !strings.HasPrefix(o.stderr, "turso-opt "+args[0]+": ") || !strings.Contains(o.stderr, args[0]+" -h") {
				t.Errorf("output %q, errors %q", o.stdout, o.stderr)
			}
		})
	}
}

func TestFlagsStandAnywhere(t *testing.T) {
	for _, c := range []struct {
		args, rest []string
		on         bool
	}{
		{[]string{"a", "--on", "b"}, []string{"a", "b"}, true},
		{[]string{"--on", "a"}, []string{"a"}, true},
		{[]string{"a", "--", "--on"}, []string{"a", "--on"}, false},
		{[]string{"--", "--on", "b"}, []string{"--on", "b"}, false},
		{nil, nil, false},
	} {
		f := newFlags("test", "")
		on := f.Bool("on", false, "")
		rest, err := f.parse(c.args, 2, nil)
		if err != nil || !slices.Equal(rest, c.rest) || *on != c.on {
			t.Errorf("%q gives %q, %v, %v", c.args, rest, *on, err)
		}
	}
}

func TestVersionNamesTheModules(t *testing.T) {
	run(t, nil, "version").want(t, exitOK, "go1.")
}

func TestInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := runContext(ctx, nil, "demo")
	o.want(t, exitFailed)
	if !strings.Contains(o.stderr, "interrupted") || o.stdout != "" {
		t.Errorf("output %q, errors %q", o.stdout, o.stderr)
	}
}
