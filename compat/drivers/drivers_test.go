// Package drivers_test starts programs that link turso-opt beside the SQLite
// drivers people use. A driver's name can be registered once in a program: a
// second time is a panic at its start, which no compiler sees.
package drivers_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// goCommand runs the go command and gives what it printed, stderr after stdout.
func goCommand(t *testing.T, cgo bool, dir string, args ...string) (out string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	enabled := "0"
	if cgo {
		enabled = "1"
	}
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED="+enabled)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String() + stderr.String(), err
}

// needCgo skips a test on a machine without a C compiler.
func needCgo(t *testing.T) {
	t.Helper()
	out, err := goCommand(t, true, ".", "env", "CC")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(strings.TrimSpace(out)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED with cgo: ", err)
	}
}

func TestBesideSQLiteDrivers(t *testing.T) {
	for _, c := range []struct {
		name, tags string
		cgo        bool
		drivers    string
	}{
		{"glebarez", "glebarez", false, "libsql sqlite turso-opt"},
		{"modernc", "modernc", false, "libsql sqlite turso-opt"},
		{"mattn", "mattn", true, "libsql sqlite3 turso-opt"},
		// glebarez and modernc register the same name; each goes with mattn.
		{"glebarez and mattn", "glebarez,mattn", true, "libsql sqlite sqlite3 turso-opt"},
		{"modernc and mattn", "modernc,mattn", true, "libsql sqlite sqlite3 turso-opt"},
		{"modernc and mattn, slim", "modernc,mattn,tursoopt_slim", true, "sqlite sqlite3 turso-opt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cgo {
				needCgo(t)
			}
			out, err := goCommand(t, c.cgo, ".", "run", "-tags="+c.tags, "./program")
			if want := c.drivers + "\n7 7\n"; err != nil || out != want {
				t.Errorf("%v, it prints\n%swant\n%s", err, out, want)
			}
		})
	}
}

func TestWithoutSQLiteDriver(t *testing.T) {
	out, err := goCommand(t, false, ".", "run", "./program")
	if err == nil || !strings.HasPrefix(out, "libsql turso-opt\n") || !strings.Contains(out, "modernc.org/sqlite") {
		t.Errorf("%v, it prints\n%swant an error that says what to import", err, out)
	}
}

// go-libsql brings a library of 40 MB, so its tests are a module of their own.
// It registers "libsql", as libsql-client-go does: only tursoopt_slim goes with it.
func TestBesideGoLibsql(t *testing.T) {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64", "linux/arm64", "darwin/arm64":
	default:
		t.Skip("go-libsql has no library for this platform")
	}
	needCgo(t)
	out, err := goCommand(t, true, filepath.Join("..", "golibsql"), "test", "-count=1", "-tags=tursoopt_slim", "./...")
	if err != nil || !strings.Contains(out, "ok") {
		t.Errorf("%v\n%s", err, out)
	}
}
