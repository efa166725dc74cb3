package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/sqld"
)

// runSelf in the environment makes the test binary behave as the command, for
// what starts the command as another process.
const runSelf = "TURSO_OPT_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runSelf) != "" {
		main()
	}
	// The servers are processes of this program, each of which would wait for a
	// second at its end if the race detector is in it.
	if os.Getenv("GORACE") == "" {
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	code := m.Run()
	// libsql-client-go leaves its connections to the default client.
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// An outcome is what a run of the command gave.
type outcome struct {
	code           int
	stdout, stderr string
}

// run runs the command in this process with nothing in its environment but env.
func run(t *testing.T, env map[string]string, args ...string) outcome {
	t.Helper()
	return runContext(t.Context(), env, args...)
}

func runContext(ctx context.Context, env map[string]string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		getenv: func(name string) string { return env[name] },
		args:   append([]string{"/somewhere/turso-opt"}, args...), self: os.Executable, selfEnv: []string{runSelf + "=1"},
	}
	code := a.run(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

// want fails the test unless the run ended so and wrote all of these.
func (o outcome) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit status %d, want %d", o.code, code)
	}
	for _, text := range texts {
		if !strings.Contains(o.stdout, text) {
			t.Errorf("the output lacks %q", text)
		}
	}
	if strings.Contains(o.stdout+o.stderr, "\x1b") {
		t.Error("there are control sequences in what no terminal shows")
	}
	if t.Failed() {
		t.Logf("output:\n%s\nerrors:\n%s", o.stdout, o.stderr)
	}
}

// needSqld skips a test as sqld.ForTest does.
func needSqld(t *testing.T) {
	t.Helper()
	_, err := sqld.Find()
	if errors.Is(err, sqld.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip("NOT TESTED against a real server: " + err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
}
