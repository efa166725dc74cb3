package tursoopt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// trouble has things happen while a round is under way, one after another, with a
// part of its operations between them.
func (l *linear) trouble(ctx context.Context, n int, ops int64) {
	cut := func() { l.path.Reset() } // answers are lost, too
	own := func() {
		l.makeView(func(query string, _ ...any) error {
			_, err := l.db.ExecContext(ctx, query)
			return err
		})
	}
	const again = "DROP TRIGGER copies; CREATE TRIGGER copies AFTER UPDATE ON x BEGIN UPDATE y SET v = new.v WHERE id = new.id; END"
	foreign := func() {
		_, err := l.other.ExecContext(ctx, "BEGIN IMMEDIATE; "+again+"; COMMIT")
		l.schema(err)
	}
	happens := [][]func(){
		{cut, own, cut, foreign},
		{foreign, l.lose, cut},
		{cut, foreign, l.kill, own},
		{own, cut, cut},
	}[n%4]
	if n%8 >= 4 && n%4 < 3 {
		happens = []func(){cut, foreign, cut} // what takes long is not for each round
	}
	switch {
	case l.path == nil: // there is nothing to cut and nobody to kill
		happens = []func(){own, foreign, own, foreign, own}
	case !l.e.native:
		// The base leaves a transaction behind that was cut, whose lock nobody gets before five
		// seconds are over, or the server is.
		happens = [][]func(){
			{own, cut, l.kill, foreign},
			{foreign, l.lose, l.kill},
			{cut, l.kill, own, foreign},
			{own, foreign, cut, l.kill},
		}[n%4]
	}
	for i, happen := range happens {
		for l.noted.Load() < ops*int64(i+1)/int64(len(happens)+1) {
			time.Sleep(time.Millisecond) // operations are made meanwhile
		}
		happen()
	}
}

// makeView has a view give another value, by own DDL; exec runs the text.
func (l *linear) makeView(exec func(query string, args ...any) error) {
	op := &linearOp{kind: "made", way: "DDL", v: l.next.Add(1)}
	called := int64(time.Since(l.start))
	err := exec(fmt.Sprintf("BEGIN IMMEDIATE; DROP VIEW made; CREATE VIEW made AS SELECT id, %d AS v FROM x; COMMIT", op.v))
	l.note(linearWriters+linearReaders+1, op, called, err)
	l.schema(err)
}

// schema counts a change of the schema.
func (l *linear) schema(err error) {
	if err != nil {
		l.t.Logf("DDL: %v", err)
		return
	}
	l.schemas++
}

// kill ends the server in the middle of what it does, and starts it again.
func (l *linear) kill() {
	l.e.sqld.Kill()
	if err := l.e.sqld.Restart(); err != nil {
		l.t.Error(err)
	}
	l.kills++
}

// lose has a write lost that waits for the lock at the server, and happens more than a
// second later.
func (l *linear) lose() {
	ctx := context.Background()
	c, err := l.other.Conn(ctx)
	if err != nil {
		l.t.Error(err)
		return
	}
	defer c.Close()
	defer l.held.Store(false)
	l.held.Store(!l.e.native) // what waits there is left behind
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		l.t.Logf("no lock: %v", err)
		return
	}
	l.held.Store(true)
	op := &linearOp{id: l.base + rand.Int64N(linearIDs), kind: "both", way: "update", v: l.next.Add(1)}
	told := make(chan error, 1)
	go func() {
		called := int64(time.Since(l.start))
		_, err := l.db.ExecContext(ctx, "UPDATE x SET v = ? WHERE id = ?", op.v, op.id)
		l.note(linearWriters+linearReaders, op, called, err)
		told <- err
	}()
	hold := time.After(1200 * time.Millisecond)
	cut := time.NewTicker(100 * time.Millisecond)
	defer cut.Stop()
	lost := false
	for held := true; held; {
		select {
		case <-cut.C:
			l.path.Reset() // until one that has got there is lost, and those behind it
		case err = <-told:
			if lost = true; !l.e.native {
				hold = time.After(200 * time.Millisecond) // nobody finds out what becomes of it
			}
		case <-hold:
			held = false
		}
	}
	if _, err := c.ExecContext(ctx, "COMMIT"); err != nil {
		l.t.Logf("the lock was lost: %v", err)
	}
	if !lost {
		err = <-told // it may take a while until a connection stays
	}
	l.held.Store(false)
	if !l.unclear(op, err) {
		return
	}
	for until := time.Now().Add(time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		var n int
		if err := l.other.QueryRowContext(ctx, "SELECT count(*) FROM journal WHERE v = ?", op.v).Scan(&n); err == nil && n == 1 {
			l.late++
			return
		}
	}
}
