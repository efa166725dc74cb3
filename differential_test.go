package tursoopt_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
)

// differentialEnv is how long TestDifferential runs, as a duration; without it,
// it runs differentialChecks programs.
const (
	differentialEnv    = "TURSO_OPT_DIFFERENTIAL"
	differentialChecks = 40
)

// A target is one way to a database, with the state that a program has on it.
type target struct {
	name string
	file bool // a local SQLite
	base bool // libsql-client-go
	json bool // answers are in JSON
	db   *sql.DB
	conn *sql.Conn
	tx   *sql.Tx
}

// An outcome is what a step gives.
type outcome struct {
	err       error
	code, ext int    // SQLite's, as far as the target tells
	message   string // the server's, without what clients put before it
	sets      []resultSet
	id, n     int64
}

func (o *outcome) String() string {
	return fmt.Sprintf("error %v, code %d, %d, %v, id %d, n %d", o.err, o.code, o.ext, o.sets, o.id, o.n)
}

type resultSet struct {
	columns []string
	rows    [][]any
}

// Generated programs do the same through the native client in both encodings,
// libsql-client-go and a local SQLite. What is not the same is a bug, or is
// excluded by a rule with a name and a reason.
func TestDifferential(t *testing.T) {
	var targets []*target
	for _, m := range []struct {
		target
		mode
	}{
		{target{name: "native protobuf"}, nativeModes[0]},
		{target{name: "native json", json: true}, nativeModes[1]},
		{target{name: "libsql-client-go", base: true, json: true}, otherModes[0]},
		{target{name: "file", file: true}, otherModes[1]},
	} {
		tg := m.target
		tg.db = newEnv(t, m.mode).open(t, map[bool]string{true: "_pragma=foreign_keys(1)&_pragma=journal_mode(wal)"}[m.mode.file])
		if tg.file {
			// A connection that has not seen yet that another has dropped and created a
			// table says that a trigger's table is missing.
			tg.db.SetMaxOpenConns(1)
		}
		targets = append(targets, &tg)
	}
	used := map[string]int{}
	check := func(t *rapid.T) {
		least := rapid.SampledFrom([]int{1, 10, 25, 40}).Draw(t, "least")
		steps := rapid.SliceOfN(genSteps, least, 60).Draw(t, "steps")
		p := &differential{t: t, targets: targets, used: used}
		p.start()
		defer p.end()
		for i := range steps {
			p.step(&steps[i])
		}
	}
	for _, run := range differentialRuns(t) {
		run(t, check)
	}
	for _, r := range rules {
		t.Logf("%6d x %s", used[r.name], r.name)
	}
}

// differentialRuns says how much is checked.
func differentialRuns(t *testing.T) []func(*testing.T, func(*rapid.T)) {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	text := os.Getenv(differentialEnv)
	if text == "" && given {
		return []func(*testing.T, func(*rapid.T)){func(t *testing.T, check func(*rapid.T)) { rapid.Check(t, check) }}
	}
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if err := checks.Value.Set(fmt.Sprint(differentialChecks)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(before) })
	length := time.Duration(0)
	if text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", differentialEnv, err)
		}
	}
	until := time.Now().Add(length)
	return []func(*testing.T, func(*rapid.T)){func(t *testing.T, check func(*rapid.T)) {
		for more := true; more && !t.Failed(); more = time.Now().Before(until) {
			rapid.Check(t, check)
		}
	}}
}

// A differential runs one program.
type differential struct {
	t       *rapid.T
	targets []*target
	used    map[string]int
	log     []string
	// inTx: a transaction by BeginTx is open. textTx: one by a text may be, on the
	// pinned connection.
	inTx, textTx bool
	// ended: SQLite has ended the transaction by itself.
	ended  bool
	pinned bool
}

func (p *differential) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 30*time.Second)
}

func (p *differential) start() {
	ctx, cancel := p.context()
	defer cancel()
	for _, tg := range p.targets {
		for _, text := range append(slices.Clone(genDrop), genSchema...) {
			if tg.file {
				// Its driver has its own idea of the numbers in a column of times. The
				// affinity is the same.
				text = strings.ReplaceAll(text, "DATETIME", "NUMERIC")
			}
			if _, err := tg.db.ExecContext(ctx, text); err != nil {
				p.t.Fatalf("%s: %s: %v", tg.name, text, err)
			}
		}
	}
}

func (p *differential) end() {
	ctx, cancel := p.context()
	defer cancel()
	for _, tg := range p.targets {
		if tg.tx != nil {
			_ = tg.tx.Rollback() // it may be over
		}
		if tg.conn != nil {
			if p.textTx {
				_, _ = tg.conn.ExecContext(ctx, "ROLLBACK") // as above
			}
			_ = tg.conn.Close()
		}
		tg.tx, tg.conn = nil, nil
	}
}

// fits tells whether a step can be done in the state the program is in.
func (p *differential) fits(s *genStep) bool {
	switch {
	case p.ended:
		return s.act == "commit" || s.act == "rollback"
	case s.act == "begin":
		return !p.inTx && !p.textTx
	case s.act == "commit", s.act == "rollback":
		return p.inTx
	case s.act == "pin":
		return !p.inTx && !p.pinned
	case s.act == "unpin":
		return !p.inTx && p.pinned && !p.textTx
	}
	for _, st := range s.stmts {
		if !slices.Contains(genTxTexts, st.text) {
			continue
		}
		savepoint := strings.HasSuffix(st.text, " s")
		if p.inTx && !savepoint && !strings.HasPrefix(st.text, "BEGIN") {
			return false // what BeginTx began ends by Commit and Rollback
		}
		if !p.inTx && !p.pinned {
			return false
		}
	}
	return true
}

func (p *differential) step(s *genStep) {
	if !p.fits(s) {
		return
	}
	p.log = append(p.log, s.String())
	outcomes := make([]outcome, len(p.targets))
	for i, tg := range p.targets {
		outcomes[i] = p.do(tg, s)
	}
	for i := range p.targets[1:] {
		p.compare(s, p.targets[i+1], &outcomes[0], &outcomes[i+1])
	}
	p.after(s, &outcomes[0])
	switch failed := outcomes[0].err != nil; {
	case failed && len(s.stmts) > 1 && (p.inTx || p.textTx):
		p.rollBack()
	case failed && s.act == "commit" && p.pinned:
		// database/sql takes the transaction for over, and so does the native client;
		// libsql-client-go's may be open still.
		p.textTx = true
		p.rollBack()
	}
}

// rollBack ends a transaction that is another one on each target now: a script
// that fails in it is cut short on most, and takes it along on
// libsql-client-go, whose statements autocommit then.
func (p *differential) rollBack() {
	p.log = append(p.log, "roll back everywhere")
	ctx, cancel := p.context()
	defer cancel()
	for _, tg := range p.targets {
		if p.inTx {
			_ = tg.tx.Rollback() // it may be over
			tg.tx = nil
		} else {
			_, _ = tg.conn.ExecContext(ctx, "ROLLBACK") // as above
		}
	}
	p.inTx, p.textTx, p.ended = false, false, false
}

// after moves the program's state on, by what has happened on the native client.
func (p *differential) after(s *genStep, o *outcome) {
	switch s.act {
	case "begin":
		p.inTx = o.err == nil
	case "commit", "rollback":
		p.inTx, p.ended = false, false
	case "pin":
		p.pinned = true
	case "unpin":
		p.pinned = false
	}
	for _, st := range s.stmts {
		switch {
		case p.inTx && st.rollsBack && o.err != nil && (o.code == 19 || o.code == 20):
			p.ended = true
		case p.inTx:
		case strings.HasPrefix(st.text, "BEGIN"), st.text == "SAVEPOINT s":
			p.textTx = p.textTx || o.err == nil
		case st.text == "COMMIT", st.text == "END", st.text == "ROLLBACK":
			p.textTx = p.textTx && o.err != nil && o.code == 19
		}
	}
}

// do does a step on one target.
func (p *differential) do(tg *target, s *genStep) (o outcome) {
	ctx, cancel := p.context()
	defer cancel()
	switch s.act {
	case "begin":
		var err error
		if p.pinned && (s.onPinned || tg.file) {
			tg.tx, err = tg.conn.BeginTx(context.Background(), nil)
		} else {
			tg.tx, err = tg.db.BeginTx(context.Background(), nil)
		}
		o.err = err
	case "commit":
		o.err = tg.tx.Commit()
		tg.tx = nil
	case "rollback":
		o.err = tg.tx.Rollback()
		tg.tx = nil
	case "pin":
		tg.conn, o.err = tg.db.Conn(ctx)
	case "unpin":
		o.err = tg.conn.Close()
		tg.conn = nil
	default:
		return p.run(ctx, tg, s)
	}
	o.describe()
	return o
}

// A preparer is an execer that prepares.
type preparer interface {
	execer
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (p *differential) run(ctx context.Context, tg *target, s *genStep) (o outcome) {
	var on preparer = tg.db
	switch {
	case p.inTx:
		on = tg.tx
	case p.pinned && (s.onPinned || p.textTx || tg.file):
		on = tg.conn
	}
	if tg.file && len(s.stmts) > 1 {
		// SQLite drivers take a script without arguments at most, and give one of
		// its results.
		if on == preparer(tg.db) {
			c, err := tg.db.Conn(ctx)
			if err != nil {
				p.t.Fatal(err)
			}
			defer c.Close()
			on = c
		}
		for i := range s.stmts {
			text, args := s.write(i, i+1)
			one := p.runText(ctx, tg, on, s, text, args)
			o.sets = append(o.sets, one.sets...)
			if o.err, o.code, o.ext = one.err, one.code, one.ext; o.err != nil {
				break
			}
		}
		return o
	}
	text, args := s.write(0, len(s.stmts))
	return p.runText(ctx, tg, on, s, text, args)
}

func (p *differential) runText(ctx context.Context, tg *target, on preparer, s *genStep, text string, args []any) (o outcome) {
	defer o.describe()
	if tg.file {
		args = slices.Clone(args)
		for i, a := range args {
			args[i] = fileArgument(a)
		}
	}
	exec := func() (sql.Result, error) { return on.ExecContext(ctx, text, args...) }
	query := func() (*sql.Rows, error) { return on.QueryContext(ctx, text, args...) }
	if s.prepared {
		st, err := on.PrepareContext(ctx, text)
		if err != nil {
			o.err = err
			return o
		}
		defer st.Close()
		exec = func() (sql.Result, error) { return st.ExecContext(ctx, args...) }
		query = func() (*sql.Rows, error) { return st.QueryContext(ctx, args...) }
	}
	if !s.query {
		res, err := exec()
		if o.err = err; err == nil {
			o.id, _ = res.LastInsertId() // no driver here gives an error
			o.n, _ = res.RowsAffected()
		}
		return o
	}
	rows, err := query()
	if err != nil {
		o.err = err
		return o
	}
	defer rows.Close()
	for {
		set := resultSet{}
		if set.columns, o.err = rows.Columns(); o.err != nil {
			return o
		}
		for rows.Next() {
			values, dest := make([]any, len(set.columns)), make([]any, len(set.columns))
			for i := range dest {
				dest[i] = &values[i]
			}
			if o.err = rows.Scan(dest...); o.err != nil {
				return o
			}
			set.rows = append(set.rows, values)
		}
		o.sets = append(o.sets, set)
		if !rows.NextResultSet() {
			o.err = rows.Err()
			return o
		}
	}
}

// describe takes from an error what can be compared.
func (o *outcome) describe() {
	var native *tursoopt.Error
	var local sqlite3.ErrorCode
	var localExt sqlite3.ExtendedErrorCode
	switch {
	case o.err == nil:
	case errors.As(o.err, &native):
		o.code, o.ext, o.message = native.Code, native.ExtendedCode, native.Message
	case errors.As(o.err, &local) && errors.As(o.err, &localExt):
		o.code, o.ext = int(local), int(localExt)
	default:
		o.message = o.err.Error()
	}
}

// compare finds what differs, and whether a rule allows it.
func (p *differential) compare(s *genStep, tg *target, want, got *outcome) {
	c := &comparison{p, s, tg, want, got}
	differs := map[string]bool{
		"error":   (want.err == nil) != (got.err == nil),
		"code":    want.err != nil && got.err != nil && c.codesDiffer(),
		"columns": want.err == nil && got.err == nil && !c.sameColumns(),
		"rows":    want.err == nil && got.err == nil && !c.sameRows(),
		"id":      want.err == nil && got.err == nil && want.id != got.id,
		"n":       want.err == nil && got.err == nil && want.n != got.n,
	}
	for _, part := range slices.Sorted(maps.Keys(differs)) {
		if !differs[part] {
			continue
		}
		if r := c.rule(part); r != nil {
			p.used[r.name]++
			continue
		}
		p.t.Fatalf("%s, %s:\n%s: %v\n%s: %v\nafter\n\t%s", s, part, p.targets[0].name, want, tg.name, got, strings.Join(p.log, "\n\t"))
	}
}

// A comparison is of one step on the native client and on another target.
type comparison struct {
	p         *differential
	step      *genStep
	target    *target
	want, got *outcome
}

func (c *comparison) codesDiffer() bool {
	switch {
	case c.target.base:
		return !strings.Contains(c.got.message, c.want.message) || c.want.message == ""
	case c.target.file:
		ext := c.got.ext
		if ext == 1555 {
			ext = 2067 // SQLite words both alike, which is all that a server tells
		}
		return c.want.code != c.got.code || c.want.ext != ext
	}
	return c.want.code != c.got.code || c.want.ext != c.got.ext || c.want.message != c.got.message
}

func (c *comparison) sameColumns() bool {
	return slices.EqualFunc(c.want.sets, c.got.sets, func(a, b resultSet) bool { return slices.Equal(a.columns, b.columns) })
}

func (c *comparison) sameRows() bool {
	i := 0
	return slices.EqualFunc(c.want.sets, c.got.sets, func(a, b resultSet) bool {
		x, y := a.rows, b.rows
		if i < len(c.step.stmts) && c.step.stmts[i].unordered {
			x, y = sorted(x), sorted(y)
		}
		i++
		return slices.EqualFunc(x, y, func(a, b []any) bool { return slices.EqualFunc(a, b, sameCell) })
	})
}

// sorted orders rows by what sameCell takes for the same.
func sorted(rows [][]any) [][]any {
	key := func(row []any) string {
		s := ""
		for _, v := range row {
			if text, ok := v.(string); ok {
				if at, ok := tursoopt.ParseTime(text); ok {
					v = at
				}
			}
			if at, ok := v.(time.Time); ok {
				v = at.UnixNano()
			}
			s += fmt.Sprintf("%T %v,", v, v)
		}
		return s
	}
	return slices.SortedFunc(slices.Values(rows), func(a, b []any) int { return strings.Compare(key(a), key(b)) })
}

// sameCell takes a text and a time for the same if the text is that time: each
// driver has its own opinion of which texts are times.
func sameCell(a, b any) bool {
	x, isTime := a.(time.Time)
	y, isTime2 := b.(time.Time)
	switch {
	case isTime && isTime2:
		return x.Equal(y)
	case isTime:
		s, _ := b.(string)
		at, ok := tursoopt.ParseTime(s)
		return ok && at.Equal(x)
	case isTime2:
		return sameCell(b, a)
	}
	return sameValue(a, b) || reflect.DeepEqual(a, b)
}

// fileArgument is an argument that the SQLite driver stores as a server would:
// it has a format of its own for times.
func fileArgument(v any) any {
	switch v := v.(type) {
	case time.Time:
		return tursoopt.FormatTime(v)
	case sql.NamedArg:
		v.Value = fileArgument(v.Value)
		return v
	}
	return v
}
