package tursoopt_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// differentialEnv is how long TestDifferential runs, as a duration; without it,
// it runs differentialChecks programs.
const (
	differentialEnv    = "TURSO_OPT_DIFFERENTIAL"
	differentialChecks = 50
)

// Generated programs do the same through the native client in both encodings,
// through libsql-client-go and on a local SQLite, and on the servers that have the
// least to offer. What is not the same is a bug, or is excluded by a rule with a
// name and a reason.
func TestDifferential(t *testing.T) {
	var targets []*target
	for _, m := range []struct {
		target
		mode
	}{
		{target{name: "native protobuf"}, nativeModes[0]},
		{target{name: "native json", json: true}, nativeModes[1]},
		{target{name: "native with a cache"}, mode{native: true, real: true, params: "encoding=protobuf&cache=1MiB&cache_lease=1h&cache_ttl=2h"}},
		{target{name: "libsql-client-go", base: true, json: true}, otherModes[0]},
		{target{name: "file", file: true}, otherModes[1]},
		{target{name: "embedded cloud without batons", json: true, reworded: true}, nativeModes[5]},
		{target{name: "embedded v2", json: true, reworded: true}, nativeModes[6]},
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
	runDifferential(t, check)
	t.Logf("%6d steps", used[""])
	for _, r := range rules {
		t.Logf("%6d x %s", used[r.name], r.name)
	}
}

// runDifferential checks as many programs as the command line, the environment
// or differentialChecks say.
func runDifferential(t *testing.T, check func(*rapid.T)) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	var length time.Duration
	if text := os.Getenv(differentialEnv); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatalf("%s: %v", differentialEnv, err)
		}
	} else if given {
		rapid.Check(t, check)
		return
	}
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	if err := checks.Set(strconv.Itoa(differentialChecks)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = checks.Set(before) }()
	until := time.Now().Add(length)
	for more := true; more && !t.Failed(); more = time.Now().Before(until) {
		rapid.Check(t, check)
	}
}

// A differential runs one program.
type differential struct {
	t       *rapid.T
	targets []*target
	used    map[string]int // how often each rule was needed; of "", the steps
	log     []string
	// inTx: a transaction by BeginTx is open. textTx: one by a text may be, on the
	// pinned connection.
	inTx, textTx bool
	// ended: SQLite has ended the transaction by itself.
	ended  bool
	pinned bool
	// txPinned: the transaction by BeginTx is on the pinned connection. unsure: a
	// write has failed there since the last INSERT; wasUnsure: that has ever been so.
	txPinned, unsure, wasUnsure bool
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
	p.used[""]++
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
		p.inTx, p.txPinned = o.err == nil, p.pinned && s.onPinned
	case "commit", "rollback":
		p.inTx, p.ended = false, false
	case "pin":
		p.pinned = true
	case "unpin":
		p.pinned, p.unsure = false, false
	default:
		onPinned := p.pinned && (p.inTx && p.txPinned || !p.inTx && (s.onPinned || p.textTx))
		switch {
		case !onPinned:
		case o.err != nil && s.any(func(s *genStmt) bool { return s.dml }):
			p.unsure, p.wasUnsure = true, true
		case o.err == nil && s.any(func(s *genStmt) bool { return s.plain }):
			p.unsure = false
		}
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
