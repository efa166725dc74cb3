package lane

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A lone read is one request in the shape that it has without coalescing, sent at
// once by its caller's own goroutine; no timer runs.
func TestALoneReadGoesOutAtOnce(t *testing.T) {
	for _, coalesce := range []bool{true, false} {
		bubble(t, Config{Coalesce: coalesce}, func(t *testing.T, f *fake, l *Lanes) {
			began := time.Now()
			q := known("q")
			for i := range 3 {
				resp, err := l.Do(context.Background(), q.read(integer(i)))
				if err != nil || resp.Results[0].Result.Rows.Int(0, 1) != int64(i) {
					t.Fatal(resp, err)
				}
				if l.reads.set {
					t.Error("a timer is set for a lone read")
				}
			}
			if took := time.Since(began); took != 3*f.took {
				t.Errorf("three reads took %v", took)
			}
			if got := f.kinds(); got != "do 1, do 1, do 1" {
				t.Errorf("sent: %s", got)
			}
		})
	}
}

// Reads queue only when all lanes are out, and share the next request in the
// order in which they came.
func TestReadsShareBehindLanesThatAreOut(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 2}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		var asks []*asked
		for i := range 12 {
			asks = append(asks, start(l, q.read(integer(i))))
		}
		if got := f.kinds(); got != "do 1, do 1" {
			t.Fatalf("sent at once: %s", got)
		}
		for i, a := range asks {
			a.gets(t, "q", i)
		}
		// Both lanes come back together and divide what waits.
		if got := f.kinds(); got != "do 1, do 1, batch 5, batch 5" && got != "do 1, do 1, batch 10" {
			t.Errorf("sent: %s", got)
		}
		for _, r := range f.log[2:] {
			for i := 1; i < len(r.args); i++ {
				if r.args[i] != r.args[i-1]+1 {
					t.Errorf("the order was %v", r.args)
				}
			}
		}
		c := l.Counters()
		if c.Alone != 2 || c.Shared != 10 || c.Requests != uint64(len(f.log)-2) || c.Lanes != 2 {
			t.Errorf("counted %+v", c)
		}
	})
}

// Where one lane is out, the rest of the queue waits for it, 64 at a time.
func TestASharedRequestIsBounded(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		var asks []*asked
		for i := range 150 {
			asks = append(asks, start(l, q.read(integer(i))))
		}
		for i, a := range asks {
			a.gets(t, "q", i)
		}
		if got := f.kinds(); got != "do 1, batch 64, batch 64, batch 21" {
			t.Errorf("sent: %s", got)
		}
	})
	// Arguments and expected answers bound it, too; large arguments do not queue.
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q, wide := known("q"), known("wide")
		wide.note.Answer.Store(maxAnswer / 5)
		text := exec.Value{Kind: exec.Text, Text: strings.Repeat("x", 60<<10)}
		var asks []*asked
		for range 10 {
			asks = append(asks, start(l, q.read(integer(1), text)))
		}
		for range 8 {
			asks = append(asks, start(l, wide.read(integer(1))))
		}
		text.Text += strings.Repeat("x", 10<<10)
		asks = append(asks, start(l, q.read(integer(1), text)))
		for _, a := range asks {
			<-a.done
			if a.err != nil {
				t.Error(a.err)
			}
		}
		// The last is beside the lanes.
		if got := f.kinds(); got != "do 1, do 1, batch 4, batch 4, batch 5, batch 4" {
			t.Errorf("sent: %s", got)
		}
	})
}

// Reads whose texts have not been run before do not travel in a batch, which the
// server would refuse as a whole if it could not read one of them.
func TestNewTextsShareAsAPipeline(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		asks := []*asked{start(l, known("q").read(integer(0)))}
		var names []string
		for i := range 20 {
			names = append(names, "new"+strings.Repeat("'", i))
			asks = append(asks, start(l, fresh(names[i]).read(integer(i))))
		}
		q := known("q")
		for i := range 3 {
			asks = append(asks, start(l, q.read(integer(i))))
		}
		f.set(func() {
			f.result = func(s *exec.Stmt) exec.StmtResult {
				if s.SQL == names[7] {
					return exec.StmtResult{Err: parseError}
				}
				return echo(s)
			}
		})
		for i, a := range asks[1:21] {
			if i != 7 {
				a.gets(t, names[i], i)
				continue
			}
			if <-a.done; a.err != nil || a.resp.Results[0].Err != parseError {
				t.Errorf("the one that cannot be read got %+v, %v", a.resp, a.err)
			}
		}
		for i, a := range asks[21:] {
			a.gets(t, "q", i)
		}
		// Whoever has waited longest is first: the new ones, then the others.
		if got := f.kinds(); got != "do 1, pipeline 16, pipeline 4, batch 3" {
			t.Errorf("sent: %s", got)
		}
	})
}

var parseError = &exec.Error{Source: exec.FromStatement, Proof: exec.NotExecuted, Code: "SQL_PARSE_ERROR", Message: "near \"SELEC\""}

// A batch that the server cannot read costs the innocent one more round trip.
// From then on the culprit is not in batches.
func TestOneThatCannotBeReadFailsAlone(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q, gone := known("q"), known("gone")
		f.result = func(s *exec.Stmt) exec.StmtResult {
			if s.SQL == "gone" {
				return exec.StmtResult{Err: parseError}
			}
			return echo(s)
		}
		round := func() (answered time.Duration) {
			f.forget()
			began := time.Now()
			first := start(l, q.read(integer(-1)))
			var asks []*asked
			for i := range 5 {
				asks = append(asks, start(l, q.read(integer(i))))
			}
			culprit := start(l, gone.read())
			first.gets(t, "q", -1)
			for i, a := range asks {
				a.gets(t, "q", i)
				answered = max(answered, a.at.Sub(began))
			}
			if <-culprit.done; culprit.err != nil || culprit.resp.Results[0].Err != parseError {
				t.Errorf("the culprit got %+v, %v", culprit.resp, culprit.err)
			}
			return answered
		}
		if took := round(); took != 3*f.took {
			t.Errorf("the innocent waited %v", took)
		}
		if got := f.kinds(); got != "do 1, batch 6, pipeline 6" {
			t.Errorf("sent: %s", got)
		}
		if n := l.Counters().Again; n != 6 {
			t.Errorf("%d run again", n)
		}
		if took := round(); took != 2*f.took {
			t.Errorf("the innocent waited %v the second time", took)
		}
		if got := f.kinds(); got != "do 1, batch 5, do 1" {
			t.Errorf("sent: %s", got)
		}
	})
}

// What is learned of a text while it waits counts when its turn comes.
func TestATextThatHasBecomeBadCompanyTravelsAlone(t *testing.T) {
	for _, lesson := range []func(n *exec.Note){
		func(n *exec.Note) { n.Succeeded.Store(false) },
		func(n *exec.Note) { n.ServerTime.Store(int64(time.Second)) },
	} {
		bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
			q, bad := known("q"), known("bad")
			asks := []*asked{start(l, q.read(integer(0)))}
			for i := range 9 {
				x := q
				if i%3 == 2 {
					x = bad
				}
				asks = append(asks, start(l, x.read(integer(i+1))))
			}
			lesson(bad.note)
			for i, a := range asks {
				sql := "q"
				if i > 0 && i%3 == 0 {
					sql = "bad"
				}
				a.gets(t, sql, i)
			}
			for _, r := range f.log {
				if r.has("bad") {
					if r.kind == "batch" {
						t.Errorf("sent: %s", f.kinds())
					}
					break // it has been run by itself now
				}
			}
		})
	}
}

// Answers that are too large together are asked for again one by one in the same
// request, and one that is too large by itself goes through a cursor.
func TestTooLargeAnswersAreSplit(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		tooLarge := &exec.Error{Source: exec.FromStatement, Proof: exec.OutcomeUnknown, Code: "RESPONSE_TOO_LARGE"}
		q, huge := known("q"), known("huge")
		alone := 0
		f.result = func(s *exec.Stmt) exec.StmtResult {
			if s.SQL == "huge" && !s.Note.Large.Load() {
				return exec.StmtResult{Err: tooLarge}
			}
			if s.SQL == "huge" {
				alone++
			}
			return echo(s)
		}
		asks := []*asked{start(l, q.read(integer(0))), start(l, q.read(integer(1))), start(l, huge.read(integer(2))), start(l, q.read(integer(3)))}
		for i, sql := range []string{"q", "q", "huge", "q"} {
			asks[i].gets(t, sql, i)
		}
		if got := f.kinds(); got != "do 1, batch 3, pipeline 3, do 1" || alone != 1 || !huge.note.Large.Load() {
			t.Errorf("sent: %s", got)
		}
	})
}

// A request that fails as a whole is run again one by one, and the text that is to
// blame travels alone for a while. Failures that no statement can cause are told
// to all at once.
func TestAFailedRequestIsRunOneByOne(t *testing.T) {
	invalid := &exec.Error{Source: exec.FromServer, Status: 500, Message: "invalid utf-8 sequence", Proof: exec.OutcomeUnknown}
	forbidden := &exec.Error{Source: exec.FromServer, Status: 403, Message: "no write permission", Proof: exec.NotExecuted}
	garbage := &exec.Error{Source: exec.FromProtocol, Message: "not Hrana"}
	broken := &exec.Error{Source: exec.FromTransport, Proof: exec.OutcomeUnknown, Message: "broken", StreamLost: true}
	for _, failure := range []*exec.Error{invalid, forbidden, garbage, broken} {
		bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
			q, bad := known("q"), known("bad")
			f.fails = func(r *sent) error {
				if r.has("bad") {
					return failure
				}
				return nil
			}
			asks := []*asked{start(l, q.read(integer(0)))}
			for i := range 5 {
				asks = append(asks, start(l, q.read(integer(i+1))))
			}
			culprit := start(l, bad.read())
			for i, a := range asks {
				a.gets(t, "q", i)
			}
			if <-culprit.done; culprit.err != failure {
				t.Errorf("%v: the culprit got %v", failure, culprit.err)
			}
			if got := f.kinds(); got != "do 1, batch 6, do 1, do 1, do 1, do 1, do 1, do 1" {
				t.Errorf("%v: sent %s", failure, got)
			}
			if took := asks[5].at.Sub(f.log[0].at); took != 3*f.took {
				t.Errorf("%v: the innocent waited %v", failure, took)
			}
			f.forget()
			first := start(l, q.read(integer(0)))
			culprit = start(l, bad.read())
			second, third := start(l, q.read(integer(1))), start(l, q.read(integer(2)))
			first.gets(t, "q", 0)
			second.gets(t, "q", 1)
			third.gets(t, "q", 2)
			<-culprit.done
			if got := f.kinds(); got != "do 1, do 1, batch 2" {
				t.Errorf("%v: sent %s", failure, got)
			}
			// When it has succeeded often enough it may share again.
			f.set(func() { f.fails = nil })
			for range aloneFor {
				start(l, bad.read(integer(9))).gets(t, "bad", 9)
			}
			if wide(bad.note, SlowAfter) {
				t.Errorf("%v: after %d successes the text still travels alone", failure, aloneFor)
			}
		})
	}
	for _, failure := range []error{
		&exec.Error{Source: exec.FromServer, Status: 401, Proof: exec.NotExecuted},
		&exec.Error{Source: exec.FromServer, Status: 404, Proof: exec.NotExecuted},
		&exec.Error{Source: exec.FromServer, Status: 502, Proof: exec.OutcomeUnknown},
		&exec.Error{Source: exec.FromTransport, Proof: exec.NotExecuted, Message: "refused"},
	} {
		bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
			q := known("q")
			first := start(l, q.read(integer(0)))
			var asks []*asked
			for i := range 4 {
				asks = append(asks, start(l, q.read(integer(i))))
			}
			f.set(func() {
				f.fails = func(r *sent) error {
					if r.kind == "batch" {
						return failure
					}
					return nil
				}
			})
			first.gets(t, "q", 0)
			for _, a := range asks {
				if <-a.done; a.err != failure {
					t.Errorf("got %v, want %v", a.err, failure)
				}
			}
			if got := f.kinds(); got != "do 1, batch 4" {
				t.Errorf("%v: sent %s", failure, got)
			}
		})
	}
}

// Who leaves, leaves at once: with nothing sent, or with the others unharmed. Its
// buffers are its own again.
func TestWhoLeavesHarmsNobody(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		buffer := []byte("before")
		var got []byte
		var number int64
		f.result = func(s *exec.Stmt) exec.StmtResult {
			if len(s.Args) > 1 {
				got, number = bytes.Clone(s.Args[1].Blob), s.Args[0].Int
			}
			return echo(s)
		}
		first := start(l, q.read(integer(0)))
		queued := start(l, q.read(integer(1)))
		stays := start(l, q.read(integer(2)))
		args := []exec.Value{integer(3), {Kind: exec.Blob, Blob: buffer}}
		shared := start(l, &exec.Request{Class: exec.Read, Stmts: []exec.Stmt{{SQL: "q", Args: args, Note: q.note}}})
		last := start(l, q.read(integer(4)))

		began := time.Now()
		queued.cancel()
		if <-queued.done; !errors.Is(queued.err, context.Canceled) || queued.err.(*exec.Error).Proof != exec.NotExecuted || time.Since(began) != 0 {
			t.Errorf("who left the queue got %v after %v", queued.err, time.Since(began))
		}
		first.gets(t, "q", 0)
		synctest.Wait()
		if k := f.kinds(); k != "do 1, batch 3" {
			t.Fatalf("sent: %s", k)
		}
		began = time.Now()
		shared.cancel()
		if <-shared.done; !errors.Is(shared.err, context.Canceled) || shared.err.(*exec.Error).Proof != exec.OutcomeUnknown || time.Since(began) != 0 {
			t.Errorf("who left a request got %v after %v", shared.err, time.Since(began))
		}
		copy(buffer, "AFTER!")
		args[0].Int = 77
		stays.gets(t, "q", 2)
		last.gets(t, "q", 4)
		if string(got) != "before" || number != 3 {
			t.Errorf("the server got the arguments %d, %q", number, got)
		}
	})
}

// A request whose callers have all left is given up, and its lane is free: it may
// never be answered.
func TestARequestThatNobodyWaitsForIsGivenUp(t *testing.T) {
	bubble(t, Config{Coalesce: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q := known("q")
		f.slow = func(r *sent) time.Duration {
			if r.kind == "batch" || r.try > 0 && len(r.texts) == 1 && r.args[0] < 10 {
				return 1000 * time.Hour
			}
			return 0
		}
		first := start(l, q.read(integer(10)))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		a, b := startIn(ctx, l, q.read(integer(1))), startIn(ctx, l, q.read(integer(2)))
		first.gets(t, "q", 10)
		<-a.done
		<-b.done
		for _, x := range []*asked{a, b} {
			if !errors.Is(x.err, context.DeadlineExceeded) {
				t.Errorf("got %v", x.err)
			}
		}
		synctest.Wait()
		if f.cutNow() != 1 || f.insideNow() != 0 {
			t.Errorf("%d requests given up, %d still under way", f.cutNow(), f.insideNow())
		}
		start(l, q.read(integer(11))).gets(t, "q", 11)
		if l.Counters().Alone != 2 {
			t.Errorf("the lane is not free: %+v", l.Counters())
		}
	})
}

// After Close everybody has an answer, those who wait and those who come.
func TestCloseAnswersEverybody(t *testing.T) {
	bubble(t, Config{Coalesce: true, GroupCommit: true, Lanes: 1}, func(t *testing.T, f *fake, l *Lanes) {
		q, w := known("q"), known("w")
		var asks []*asked
		for i := range 300 {
			asks = append(asks, start(l, q.read(integer(i))), start(l, w.write(integer(i))))
		}
		f.mu.Lock()
		f.closed = true
		f.mu.Unlock()
		asks = append(asks, start(l, q.read(integer(1))), start(l, w.write(integer(1))))
		answered, refused := 0, 0
		for _, a := range asks {
			<-a.done
			var e *exec.Error
			switch {
			case a.err == nil:
				answered++
			case errors.As(a.err, &e) && e.Code == exec.CodeClosed && e.Proof == exec.NotExecuted:
				refused++
			default:
				t.Errorf("got %v", a.err)
			}
		}
		if answered != 3 || refused != 599 {
			t.Errorf("%d answered, %d refused", answered, refused)
		}
	})
}
