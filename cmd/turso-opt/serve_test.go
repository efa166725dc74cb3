package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A child is the command in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin interface{ Close() error }
	url   string
}

func startServe(t *testing.T, args ...string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := &child{cmd: exec.CommandContext(ctx, self, append([]string{"serve", "--addr", "127.0.0.1:0"}, args...)...)}
	c.cmd.Env = append(os.Environ(), runSelf+"=1")
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if c.url = strings.TrimSpace(line); !strings.HasPrefix(c.url, "http://127.0.0.1:") {
		t.Fatalf("the first line is %q", line)
	}
	return c
}

// query opens the server and runs one statement.
func query(dsn, text string) error {
	db, err := sql.Open("turso-opt", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(context.Background(), text)
	return err
}

func TestServeEndsOnSignals(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(s.String(), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "served.db")
			c := startServe(t, "--db", file, "--token", "geheim")
			if err := query(c.url+"?authToken=geheim", "CREATE TABLE t (a)"); err != nil {
				t.Fatal(err)
			}
			if err := query(c.url, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("without the token: %v", err)
			}
			if err := c.cmd.Process.Signal(s); err != nil {
				// Windows knows no signals.
				_ = c.cmd.Process.Kill()
				_ = c.cmd.Wait()
				t.Skip(err)
			}
			if err := c.cmd.Wait(); err != nil {
				t.Errorf("it ends with %v", err)
			}
			// What was written is in the file for the next one.
			again := startServe(t, "--db", file, "--until-eof", "--profile", "v2")
			if err := query(again.url, "INSERT INTO t VALUES (1)"); err != nil {
				t.Error(err)
			}
			again.stdin.Close()
			if err := again.cmd.Wait(); err != nil {
				t.Errorf("at the end of its input it ends with %v", err)
			}
		})
	}
}

func TestServeSaysWhatItServes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr bytes.Buffer
	a := &app{stdout: writerFunc(func(b []byte) (int, error) {
		cancel() // the URL is out
		return stdout.Write(b)
	}), stderr: &stderr}
	if code := a.run(ctx, []string{"serve", "--addr", "127.0.0.1:0", "--profile", "cloud", "--token", "geheim"}); code != exitOK {
		t.Errorf("exit status %d", code)
	}
	if url := stdout.String(); !strings.HasPrefix(url, "http://127.0.0.1:") || strings.Count(url, "\n") != 1 {
		t.Errorf("the output is %q", url)
	}
	for _, text := range []string{"in memory", "cloud", "a token is asked for"} {
		if !strings.Contains(stderr.String(), text) {
			t.Errorf("%q lacks %q", stderr.String(), text)
		}
	}
	if strings.Contains(stderr.String(), "geheim") {
		t.Error("the token is shown")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestServeFailures(t *testing.T) {
	run(t, nil, "serve", "--addr", "127.0.0.1:none").want(t, exitFailed)
	run(t, nil, "serve", "--addr", "127.0.0.1:0", "--db", filepath.Join(t.TempDir(), "no", "such", "folder.db")).want(t, exitFailed)
}
