// Package migrate_test migrates with golang-migrate, which sends each file
// whole, in one Exec inside a transaction.
package migrate_test

import (
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	"github.com/golang-migrate/migrate/v4/database/sqlite"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/turso-opt/turso-opt/compat/internal/target"
)

//go:embed migrations/*.sql
var embedded embed.FS

// open reads files from the folder migrations of fsys. The migrator owns the
// pool that it uses, db is another one.
func open(t *testing.T, tg target.Target, fsys fs.FS, noTx bool) (m *migrate.Migrate, db *sql.DB) {
	t.Helper()
	source, err := iofs.New(fsys, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	d, err := sqlite.WithInstance(tg.Open(t), &sqlite.Config{NoTxWrap: noTx})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = migrate.NewWithInstance("iofs", source, "turso-opt", d); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close()); err != nil {
			t.Error(err)
		}
	})
	return m, tg.Open(t)
}

func version(t *testing.T, m *migrate.Migrate, want uint, wantDirty bool) {
	t.Helper()
	if v, dirty, err := m.Version(); v != want || dirty != wantDirty || err != nil {
		t.Errorf("version %d, dirty %v, %v; want %d, %v", v, dirty, err, want, wantDirty)
	}
}

func text(t *testing.T, db *sql.DB, query string) (s string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

const schema = "SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name)"

func TestUpAndDown(t *testing.T) {
	for _, noTx := range []bool{false, true} {
		name := "in a transaction"
		if noTx {
			name = "statement by statement"
		}
		t.Run(name, func(t *testing.T) {
			target.Each(t, func(t *testing.T, tg target.Target) {
				m, db := open(t, tg, embedded, noTx)
				if _, _, err := m.Version(); !errors.Is(err, migrate.ErrNilVersion) {
					t.Errorf("the version of nothing: %v", err)
				}
				if err := m.Up(); err != nil {
					t.Fatal(err)
				}
				version(t, m, 2, false)
				if err := m.Up(); !errors.Is(err, migrate.ErrNoChange) {
					t.Errorf("the second Up: %v", err)
				}
				if got := text(t, db, "SELECT group_concat(text, '|') FROM log"); got != "it's; one|end;|nameless;|end;" {
					t.Errorf("the trigger logged %q", got)
				}
				if got := text(t, db, "SELECT group_concat(name || balance, '|') FROM account"); got != "it's; one10|20" {
					t.Errorf("the accounts are %q", got)
				}
				if err := m.Steps(-1); err != nil {
					t.Fatal(err)
				}
				version(t, m, 1, false)
				if err := m.Migrate(2); err != nil {
					t.Fatal(err)
				}
				if err := m.Down(); err != nil {
					t.Fatal(err)
				}
				if got := text(t, db, schema); got != "schema_migrations,version_unique" {
					t.Errorf("the schema still holds %q", got)
				}
			})
		})
	}
}

func TestFailureInsideAFile(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		files := fstest.MapFS{
			"migrations/1_good.up.sql": {Data: []byte("CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);")},
			"migrations/2_bad.up.sql":  {Data: []byte("CREATE TABLE gone (n); INSERT INTO t VALUES (2); INSERT INTO t VALUES (1); INSERT INTO t VALUES (3);")},
		}
		m, db := open(t, tg, files, false)
		err := m.Up()
		var failed *database.Error
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), "UNIQUE constraint failed: t.n") {
			t.Fatalf("Up gives %v", err)
		}
		version(t, m, 2, true)
		// Nothing of the file is left, what came before its error neither.
		if got := text(t, db, schema); got != "schema_migrations,t,version_unique" {
			t.Errorf("the schema holds %q", got)
		}
		if got := text(t, db, "SELECT group_concat(n) FROM t"); got != "1" {
			t.Errorf("t holds %q", got)
		}
		var dirty migrate.ErrDirty
		if err := m.Up(); !errors.As(err, &dirty) || dirty.Version != 2 {
			t.Errorf("Up on a dirty database: %v", err)
		}
		// Once mended, it goes on from the version that is forced.
		if err := m.Force(1); err != nil {
			t.Fatal(err)
		}
		version(t, m, 1, false)
	})
}

func TestDrop(t *testing.T) {
	target.Each(t, func(t *testing.T, tg target.Target) {
		m, db := open(t, tg, embedded, false)
		if err := m.Up(); err != nil {
			t.Fatal(err)
		}
		// The tables go; the VACUUM that follows is refused by the server.
		err := m.Drop()
		var failed *database.Error
		if !errors.As(err, &failed) || string(failed.Query) != "VACUUM" {
			t.Errorf("Drop gives %v", err)
		}
		if got := text(t, db, schema); got != "" {
			t.Errorf("the schema still holds %q", got)
		}
	})
}
