package main

import (
	"context"
	"maps"
	"runtime"
	"slices"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/bench"
	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/ui"
)

func (a *app) version(_ context.Context, args []string) error {
	f := newFlags("version", "Usage: turso-opt version\n\nPrints the versions of the drivers in this program.")
	if _, err := f.parse(args, 0, a.stdout); err != nil {
		return err
	}
	t := ui.Table{Left: 2}
	versions := bench.Versions()
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		t.Add(name, versions[name])
	}
	t.Add("go", runtime.Version()+" "+runtime.GOOS+"/"+runtime.GOARCH)
	_, err := t.WriteTo(a.stdout)
	return err
}
