package lane

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/limit"
)

// A fakeOutage begins and ends when a test says so.
type fakeOutage struct {
	mu      sync.Mutex
	down    chan struct{}
	refused int
}

func (o *fakeOutage) Down() <-chan struct{} { return o.now() }

func (o *fakeOutage) now() chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.down
}

func (o *fakeOutage) Refusal() *exec.Error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused++
	return &exec.Error{Source: exec.FromClient, Proof: exec.NotExecuted, Code: exec.CodeUnavailable}
}

func (o *fakeOutage) begin() { close(o.now()) }

func (o *fakeOutage) end() {
	o.mu.Lock()
	o.down = make(chan struct{})
	o.mu.Unlock()
}

func isRefusal(err error) bool {
	e, ok := err.(*exec.Error)
	return ok && e.Code == exec.CodeUnavailable && e.Proof == exec.NotExecuted
}

// Whoever waits for anything before its statement is sent fails at once when the
// server goes down, and is let wait again when it is back. What has been sent goes
// on.
func TestWaitingEndsWithTheServer(t *testing.T) {
	for name, waiting := range map[string]func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked){
		"reads for a lane": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			q := known("q")
			busy = append(busy, start(l, q.read(integer(0))))
			for i := range 10 {
				waits = append(waits, start(l, q.read(integer(i))))
			}
			return busy, waits
		},
		"reads for a place in the queue": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			q := known("q")
			blob := exec.Value{Kind: exec.Blob, Blob: make([]byte, 60<<10)}
			busy = append(busy, start(l, q.read(integer(0))))
			for range 2 * maxQueueArgs / len(blob.Blob) {
				waits = append(waits, start(l, q.read(integer(1), blob)))
			}
			return busy, waits
		},
		"wide reads": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			q := known("q")
			q.note.Large.Store(true)
			for range wideLanes {
				busy = append(busy, start(l, q.read(integer(0))))
			}
			for range 5 {
				waits = append(waits, start(l, q.read(integer(0))))
			}
			return busy, waits
		},
		"writes at the gate": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			w := fresh("w")
			busy = append(busy, start(l, w.write(integer(0))))
			for range 5 {
				waits = append(waits, start(l, w.write(integer(0))))
			}
			return busy, waits
		},
		"writes that share, behind a transaction": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			w := known("w")
			pass, err := l.gate.Enter(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(800*time.Millisecond, pass.Leave)
			for range 5 {
				waits = append(waits, start(l, w.write(integer(0))))
			}
			return nil, waits
		},
		"a server that is full": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			f.fails = func(*sent) error {
				return &exec.Error{Source: exec.FromServer, Status: 429, Proof: exec.NotExecuted, RetryAfter: 10 * time.Second}
			}
			a := start(l, known("q").read(integer(0)))
			time.Sleep(time.Second)
			f.set(func() { f.fails = nil })
			return nil, []*asked{a}
		},
		"a database that is locked": func(t *testing.T, f *fake, l *Lanes) (busy, waits []*asked) {
			f.result = func(s *exec.Stmt) exec.StmtResult {
				return exec.StmtResult{Err: &exec.Error{Source: exec.FromServer, Code: "SQLITE_BUSY"}}
			}
			a := start(l, fresh("w").write(integer(0)))
			time.Sleep(500 * time.Millisecond)
			f.set(func() { f.result = nil })
			return []*asked{a}, nil // its error is the server's
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &fakeOutage{}
			bubble(t, Config{Coalesce: true, Lanes: 1, GroupCommit: true, Outage: o, Late: time.Hour}, func(t *testing.T, f *fake, l *Lanes) {
				o.end()
				l.gate.law = limit.NewWriters(1, 1)
				f.took = 700 * time.Millisecond
				busy, waits := waiting(t, f, l)
				began := time.Now()
				o.begin()
				synctest.Wait()
				for i, a := range waits {
					select {
					case <-a.done:
						if !isRefusal(a.err) || !a.at.Equal(began) {
							t.Errorf("%d: %v after %v", i, a.err, a.at.Sub(began))
						}
					default:
						t.Fatalf("%d still waits", i)
					}
				}
				if o.refused < len(waits) || o.refused > len(waits)+1 {
					t.Errorf("%d are refused, and %d counted", len(waits), o.refused)
				}
				for _, a := range busy {
					if <-a.done; isRefusal(a.err) {
						t.Errorf("what was sent: %v", a.err)
					}
				}
				o.end()
				time.Sleep(time.Second)
				start(l, known("q").read(integer(7))).gets(t, "q", 7)
				start(l, known("w").write(integer(8))).gets(t, "w", 8)
			})
		})
	}
}
