package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// A World is what the set-up and the work of a scenario agree about: the names
// and the sizes of their tables.
type World struct {
	prefix  string
	divisor int
	// written is what has been written to a table, by its name; it is one for all who
	// have the World.
	written *sync.Map
}

// table is a name that no other run uses.
func (w World) table(name string) string { return w.prefix + name }

// rows is the size of a table that should have n.
func (w World) rows(n int) int { return max(n/w.divisor, 10) }

// MakeTables runs what setup gives, with sizes divided by divisor. If it
// succeeds, drop must be called: it removes the tables from a database that is
// not ours alone; servers of our own are thrown away as a whole.
func MakeTables(ctx context.Context, t *target.Target, setup func(World) []string, divisor int) (w World, drop func() error, err error) {
	var id [5]byte
	if _, err := rand.Read(id[:]); err != nil {
		return w, nil, err
	}
	w = World{prefix: "turso_opt_bench_" + hex.EncodeToString(id[:]) + "_", divisor: divisor, written: new(sync.Map)}
	db, err := Ours.Open(t.Config, 1)
	if err != nil {
		return w, nil, err
	}
	drop = db.Close
	if !t.Own() {
		drop = func() error { return errors.Join(dropTables(db, w.prefix), db.Close()) }
	}
	for _, text := range setup(w) {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return w, nil, errors.Join(fmt.Errorf("making the tables: %w", err), drop())
		}
	}
	return w, drop, nil
}

// dropTables removes every table whose name begins with prefix. It has a context
// of its own: it must also tidy up after a run that was broken off.
func dropTables(db *sql.DB, prefix string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	names, err := tableNames(ctx, db, prefix)
	for _, name := range names {
		if _, e := db.ExecContext(ctx, "DROP TABLE IF EXISTS "+name); e != nil {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return fmt.Errorf("tables that begin with %s may be left behind: %w", prefix, err)
	}
	return nil
}

func tableNames(ctx context.Context, db *sql.DB, prefix string) (names []string, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, rows.Err()
}
