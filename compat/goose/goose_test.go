// Package goose_test migrates with goose, which keeps one connection for a run
// and begins its transactions on it.
package goose_test

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"reflect"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/turso-opt/turso-opt/compat/internal/target"
)

//go:embed migrations/*.sql
var embedded embed.FS

func migrations(t *testing.T) fs.FS {
	t.Helper()
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// each runs body with both dialects of goose that speak SQLite.
func each(t *testing.T, body func(ctx context.Context, t *testing.T, db *sql.DB, provider func(...goose.ProviderOption) *goose.Provider)) {
	for _, dialect := range []goose.Dialect{goose.DialectSQLite3, goose.DialectTurso} {
		t.Run(string(dialect), func(t *testing.T) {
			target.Each(t, func(t *testing.T, tg target.Target) {
				db := tg.Open(t)
				body(t.Context(), t, db, func(opts ...goose.ProviderOption) *goose.Provider {
					t.Helper()
					opts = append(opts, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
					p, err := goose.NewProvider(dialect, db, migrations(t), opts...)
					if err != nil {
						t.Fatal(err)
					}
					return p
				})
			})
		})
	}
}

func tables(ctx context.Context, t *testing.T, db *sql.DB) (names []string) {
	t.Helper()
	rows, err := db.QueryContext(ctx, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

func TestUpAndDown(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, provider func(...goose.ProviderOption) *goose.Provider) {
		began := time.Now().Add(-time.Hour)
		p := provider()
		done, err := p.Up(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(done) != 3 {
			t.Errorf("%d migrations ran", len(done))
		}
		if got, want := tables(ctx, t, db), []string{"account", "account_renamed", "goose_db_version", "log", "log_text"}; !reflect.DeepEqual(got, want) {
			t.Errorf("the schema holds %q, want %q", got, want)
		}
		if again, err := p.Up(ctx); len(again) != 0 || err != nil {
			t.Errorf("the second Up runs %d migrations, %v", len(again), err)
		}

		// What the migrations left works.
		if _, err := db.ExecContext(ctx, "UPDATE account SET name = 'third' WHERE name LIKE 'first%' AND balance = 2.5"); err != nil {
			t.Fatal(err)
		}
		var text string
		if err := db.QueryRowContext(ctx, "SELECT group_concat(text, '/') FROM log").Scan(&text); err != nil || text != "first; not the end is third/renamed" {
			t.Errorf("the trigger logged %q, %v", text, err)
		}

		status, err := p.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range status {
			// goose scans the server's datetime('now') into a time.Time.
			if s.State != goose.StateApplied || s.AppliedAt.Before(began) || s.AppliedAt.After(time.Now().Add(time.Hour)) {
				t.Errorf("migration %d is %s at %s", s.Source.Version, s.State, s.AppliedAt)
			}
		}

		if down, err := p.Down(ctx); err != nil || down.Source.Version != 3 {
			t.Errorf("Down: %v, %v", down, err)
		}
		if v, err := p.GetDBVersion(ctx); v != 2 || err != nil {
			t.Errorf("the version is %d, %v", v, err)
		}
		if down, err := p.DownTo(ctx, 0); len(down) != 2 || err != nil {
			t.Errorf("DownTo runs %d migrations, %v", len(down), err)
		}
		if got := tables(ctx, t, db); !reflect.DeepEqual(got, []string{"goose_db_version"}) {
			t.Errorf("the schema still holds %q", got)
		}
		if done, err = p.UpTo(ctx, 1); len(done) != 1 || err != nil {
			t.Errorf("UpTo runs %d migrations, %v", len(done), err)
		}
	})
}

func TestGoMigrationsThatFail(t *testing.T) {
	each(t, func(ctx context.Context, t *testing.T, db *sql.DB, provider func(...goose.ProviderOption) *goose.Provider) {
		oops := errors.New("oops")
		fails := true
		p := provider(goose.WithGoMigrations(goose.NewGoMigration(4, &goose.GoFunc{
			RunTx: func(ctx context.Context, tx *sql.Tx) error {
				if _, err := tx.ExecContext(ctx, "CREATE TABLE extra (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO extra (n) VALUES (?)", 7); err != nil {
					return err
				}
				if fails {
					return oops
				}
				return nil
			},
		}, nil)))
		_, err := p.Up(ctx)
		var partial *goose.PartialError
		if !errors.As(err, &partial) || !errors.Is(err, oops) || len(partial.Applied) != 3 || partial.Failed.Source.Version != 4 {
			t.Fatalf("Up gives %v", err)
		}
		for _, name := range tables(ctx, t, db) {
			if name == "extra" {
				t.Error("the failed migration left its table")
			}
		}
		if v, err := p.GetDBVersion(ctx); v != 3 || err != nil {
			t.Errorf("the version is %d, %v", v, err)
		}
		fails = false
		if done, err := p.Up(ctx); len(done) != 1 || err != nil {
			t.Fatalf("the second Up runs %d migrations, %v", len(done), err)
		}
		var n int
		if err := db.QueryRowContext(ctx, "SELECT n FROM extra").Scan(&n); n != 7 || err != nil {
			t.Errorf("n = %d, %v", n, err)
		}
	})
}

// A store says whether its table is there only by a query that fails.
func TestStore(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		ctx, db := t.Context(), tg.Open(t)
		store, err := database.NewStore(database.DialectTurso, "versions")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.GetLatestVersion(ctx, db); err == nil {
			t.Error("a table that does not exist has a version")
		}
		if err := store.CreateVersionTable(ctx, db); err != nil {
			t.Fatal(err)
		}
		if _, err := store.GetMigration(ctx, db, 1); !errors.Is(err, database.ErrVersionNotFound) {
			t.Errorf("GetMigration: %v", err)
		}
		if _, err := store.GetLatestVersion(ctx, db); !errors.Is(err, database.ErrVersionNotFound) {
			t.Errorf("GetLatestVersion: %v", err)
		}
		if err := store.Insert(ctx, db, database.InsertRequest{Version: 1 << 60}); err != nil {
			t.Fatal(err)
		}
		if v, err := store.GetLatestVersion(ctx, db); v != 1<<60 || err != nil {
			t.Errorf("the version is %d, %v", v, err)
		}
	})
}
