package lane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
	"github.com/turso-opt/turso-opt/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is Streams whose server answers by a script, on a clock that tests move:
// they run in a bubble of testing/synctest. Unless a test says otherwise each
// request takes took, and each statement gives its first argument back.
type fake struct {
	took time.Duration
	// fails is how a request is to fail as a whole; it gets the request's texts.
	fails func(r *sent) error
	// slow is how much longer a request takes.
	slow func(r *sent) time.Duration
	// result answers one statement; nil for the default.
	result func(s *exec.Stmt) exec.StmtResult
	// commit answers a group; nil commits it.
	commit func(g *stream.Group, results []exec.StmtResult) *stream.GroupOutcome
	v2     bool // groups are not possible

	life   context.Context
	end    context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	closed bool
	log    []*sent
	inside int // requests
	most   int
	cut    int // requests that their context ended
}

// sent is one request that the fake has got.
type sent struct {
	kind  string // do, batch, pipeline, group
	class exec.Class
	texts []string
	args  []int64
	at    time.Time
	try   int // how many with the same texts went before
}

func (r *sent) has(text string) bool { return slices.Contains(r.texts, text) }

func newFake() *fake {
	f := &fake{took: time.Millisecond}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

func (f *fake) Go(run func(ctx context.Context)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.wg.Go(func() { run(f.life) })
	return true
}

// close is what closing a Connector does to its streams.
func (f *fake) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.wg.Wait()
	f.end()
}

// request lets a request pass: it takes its time, unless ctx ends first.
func (f *fake) request(ctx context.Context, kind string, class exec.Class, stmts []exec.Stmt) (*sent, error) {
	r := &sent{kind: kind, class: class, at: time.Now()}
	for i := range stmts {
		r.texts = append(r.texts, stmts[i].SQL)
		arg := int64(0)
		if len(stmts[i].Args) > 0 {
			arg = stmts[i].Args[0].Int
		}
		r.args = append(r.args, arg)
	}
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil, errClosed
	}
	for _, old := range f.log {
		if old.kind == kind && slices.Equal(old.texts, r.texts) {
			r.try++
		}
	}
	f.log = append(f.log, r)
	f.inside++
	f.most = max(f.most, f.inside)
	took := f.took
	if f.slow != nil {
		took += f.slow(r)
	}
	f.mu.Unlock()
	select {
	case <-time.After(took):
		f.set(func() { f.inside-- })
	case <-ctx.Done():
		f.set(func() { f.inside--; f.cut++ })
		return nil, &exec.Error{Source: exec.FromTransport, Proof: exec.OutcomeUnknown, Err: ctx.Err(), StreamLost: true}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		if err := f.fails(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// set changes the script of a fake that is in use.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) insideNow() (n int) { f.set(func() { n = f.inside }); return n }
func (f *fake) mostNow() (n int)   { f.set(func() { n = f.most }); return n }
func (f *fake) cutNow() (n int)    { f.set(func() { n = f.cut }); return n }

func (f *fake) answer(s *exec.Stmt) exec.StmtResult {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.result != nil {
		return f.result(s)
	}
	return echo(s)
}

// echo is a row of the statement's text and first argument.
func echo(s *exec.Stmt) exec.StmtResult {
	r := &exec.Result{RowsAffected: 1, ServerTime: 20 * time.Microsecond}
	r.Rows.Reset(2)
	r.Rows.AppendValue(exec.Value{Kind: exec.Text, Text: s.SQL})
	if len(s.Args) > 0 {
		r.Rows.AppendValue(s.Args[0])
	} else {
		r.Rows.AppendNull()
	}
	r.Rows.EndRow()
	return exec.StmtResult{Result: r}
}

func (f *fake) Do(ctx context.Context, req *exec.Request) (*exec.Response, error) {
	stmts := slices.Clone(req.Stmts) // encoded now
	if strings.HasPrefix(stmts[0].SQL, "SELECT (SELECT schema_version") {
		return f.schema(ctx)
	}
	if _, err := f.request(ctx, "do", req.Class, stmts); err != nil {
		if e, ok := err.(*exec.Error); ok && req.Late != nil && stream.Abandoned(ctx, e) {
			f.wg.Go(func() {
				time.Sleep(f.took)
				req.Late()
			})
		}
		return nil, err
	}
	resp := &exec.Response{}
	for i := range stmts {
		resp.Results = append(resp.Results, f.answer(&stmts[i]))
	}
	return resp, nil
}

// schema answers the look at the schema: version 1, and nothing that forbids
// sharing.
func (f *fake) schema(ctx context.Context) (*exec.Response, error) {
	if _, err := f.request(ctx, "schema", exec.Read, nil); err != nil {
		return nil, err
	}
	r := &exec.Result{}
	r.Rows.Reset(2)
	r.Rows.AppendInt(1)
	r.Rows.AppendInt(0)
	r.Rows.EndRow()
	return &exec.Response{Results: []exec.StmtResult{{Result: r}}}, nil
}

func (f *fake) Share(ctx context.Context, stmts []exec.Stmt, separate bool) (results []exec.StmtResult, whole *exec.Error, err error) {
	kind := "batch"
	if separate {
		kind = "pipeline"
	}
	stmts = slices.Clone(stmts)
	if _, err := f.request(ctx, kind, exec.Read, stmts); err != nil {
		return nil, nil, err
	}
	for i := range stmts {
		r := f.answer(&stmts[i])
		if r.Err != nil && !separate && (r.Err.Proof == exec.NotExecuted || r.Err.Code == "RESPONSE_TOO_LARGE") {
			return make([]exec.StmtResult, len(stmts)), r.Err, nil
		}
		results = append(results, r)
	}
	return results, nil, nil
}

func (f *fake) CommitGroup(ctx context.Context, g *stream.Group) (*stream.GroupOutcome, bool, error) {
	stmts := slices.Clone(g.Stmts)
	if f.v2 {
		_, err := f.request(ctx, "no group", exec.Write, stmts)
		return nil, false, err
	}
	if _, err := f.request(ctx, "group", exec.Write, stmts); err != nil {
		if e, ok := err.(*exec.Error); ok && g.Late != nil && stream.Abandoned(ctx, e) {
			f.wg.Go(func() {
				time.Sleep(f.took)
				g.Late()
			})
		}
		return nil, true, err
	}
	var results []exec.StmtResult
	for i := range stmts {
		results = append(results, f.answer(&stmts[i]))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.commit != nil {
		return f.commit(g, results), true, nil
	}
	return &stream.GroupOutcome{Committed: true, Begun: true, Checked: true, Results: results, ServerTime: time.Millisecond}, true, nil
}

// kinds is the log in short: the kind of each request and how many statements it
// had.
func (f *fake) kinds() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var parts []string
	for _, r := range f.log {
		parts = append(parts, fmt.Sprintf("%s %d", r.kind, len(r.texts)))
	}
	return strings.Join(parts, ", ")
}

func (f *fake) forget() { f.set(func() { f.log = nil }) }

// bubble runs a test with Lanes over a fake, on a clock of its own.
func bubble(t *testing.T, cfg Config, body func(t *testing.T, f *fake, l *Lanes)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		cfg.Streams, cfg.Budget = f, new(limit.Budget)
		l := New(cfg)
		body(t, f, l)
		f.close()
		l.Close()
		if n := l.gate.Busy(); n != 0 {
			t.Errorf("%d places at the gate are still held", n)
		}
		for _, n := range []*line{l.reads, l.commitLine()} {
			if n == nil {
				continue
			}
			if n.timer.Stop() {
				t.Error("a timer is still set")
			}
			if n.waiting != 0 || n.bytes != 0 || n.places != 0 || n.inside != 0 || n.busy != 0 || n.lates != 0 || len(n.out) != 0 {
				t.Errorf("left behind: waiting %d (%d bytes, %d places), inside %d, lanes %d and %d late, %d out",
					n.waiting, n.bytes, n.places, n.inside, n.busy, n.lates, len(n.out))
			}
		}
		if n := len(l.wide); n != 0 {
			t.Errorf("%d reads beside the lanes are still counted", n)
		}
	})
}

// with looks at a line that is in use, or changes it.
func (n *line) with(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (l *Lanes) commitLine() *line {
	if l.commits == nil {
		return nil
	}
	return l.commits.line
}

// A text is an SQL text and what is known of it.
type text struct {
	sql  string
	note *exec.Note
}

// known is a text that has succeeded before.
func known(sql string) text {
	t := fresh(sql)
	t.note.Succeeded.Store(true)
	t.note.SetsRowid.Store(true)
	return t
}

func fresh(sql string) text { return text{sql, new(exec.Note)} }

func (t text) read(args ...exec.Value) *exec.Request {
	return &exec.Request{Class: exec.Read, Stmts: []exec.Stmt{{SQL: t.sql, Args: args, Note: t.note, WantRows: true}}}
}

func (t text) write(args ...exec.Value) *exec.Request {
	return &exec.Request{Class: exec.Write, Stmts: []exec.Stmt{{SQL: t.sql, Args: args, Note: t.note, Shares: true, Rowid: exec.RowidAlways}}}
}

func integer(n int) exec.Value { return exec.Value{Kind: exec.Integer, Int: int64(n)} }

// A reply is what a caller got.
type reply struct {
	resp *exec.Response
	err  error
	at   time.Time
}

// An asked is a call that is under way.
type asked struct {
	cancel context.CancelFunc
	done   chan struct{}
	reply
}

// start makes a call and lets it come as far as it can.
func start(l *Lanes, req *exec.Request) *asked { return startIn(context.Background(), l, req) }

func startIn(ctx context.Context, l *Lanes, req *exec.Request) *asked {
	ctx, cancel := context.WithCancel(ctx)
	a := &asked{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer cancel()
		a.resp, a.err = l.Do(ctx, req)
		a.at = time.Now()
	}()
	synctest.Wait()
	return a
}

// gets fails the test unless the call gives the row of a text and number.
func (a *asked) gets(t *testing.T, sql string, n int) {
	t.Helper()
	<-a.done
	if a.err != nil {
		t.Errorf("%s %d: %v", sql, n, a.err)
		return
	}
	r := a.resp.Results[0]
	if len(a.resp.Results) != 1 || r.Err != nil || r.Result == nil {
		t.Errorf("%s %d: got %+v", sql, n, a.resp.Results)
		return
	}
	if rows := &r.Result.Rows; rows.Len() != 1 || rows.String(0, 0) != sql || rows.Int(0, 1) != int64(n) {
		t.Errorf("%s %d: got the row %q, %d", sql, n, rows.String(0, 0), rows.Int(0, 1))
	}
}
