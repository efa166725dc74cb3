package tursoopt_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// A fault is one way in which things go wrong in a phase.
type fault struct {
	name string
	// patience is how long writers wait.
	patience time.Duration
	// strike makes things go wrong once, and returns when they are right again, as
	// far as that is in its hands.
	strike func(p *ledgerPhase)
	// strikes is how often that happens at least.
	strikes int
	// kept: no answer is lost, so that the driver can tidy up all that it has begun.
	kept bool
	// never are endings that cannot come of it. All others must.
	never []ending
}

const (
	// patient writers wait for longer than anything takes; those that are not give up
	// what gets no answer.
	patient   = 2 * time.Minute
	impatient = time.Second
)

// networkFaults are what happens between the driver and a real sqld, and to it.
var networkFaults = []fault{
	{name: "delay", patience: impatient, strikes: 3, kept: true, strike: func(p *ledgerPhase) {
		p.proxy.Set(netem.Conditions{RTT: 20 * time.Millisecond})
		p.await(20, isAcked)
		p.proxy.Set(netem.Conditions{RTT: 2 * impatient})
		p.await(1, isFailed)
		p.await(1, isUnknown)
	}},
	{name: "throttle", patience: impatient, strikes: 3, kept: true, strike: func(p *ledgerPhase) {
		p.proxy.Set(netem.Conditions{UpBytesPerSecond: 1 << 20, DownBytesPerSecond: 1 << 20})
		p.await(20, isAcked)
		p.proxy.Set(netem.Conditions{UpBytesPerSecond: 4 << 10, DownBytesPerSecond: 4 << 10})
		p.await(1, isFailed)
		p.await(1, isUnknown)
	}},
	{name: "pause", patience: impatient, strikes: 3, kept: true, strike: func(p *ledgerPhase) {
		p.proxy.Set(netem.Conditions{Paused: true})
		p.await(1, isFailed)
		p.await(1, isUnknown)
	}},
	{name: "drop in silence", patience: impatient, strikes: 3, strike: func(p *ledgerPhase) {
		p.proxy.Drop()
		p.hit()
	}},
	{name: "drop when idle", patience: impatient, strikes: 3, strike: func(p *ledgerPhase) {
		// The middlebox forgets connections while nobody writes, and says nothing.
		p.lull.Lock()
		p.proxy.Set(netem.Conditions{IdleDrop: time.Millisecond})
		time.Sleep(20 * time.Millisecond)
		p.lull.Unlock()
		p.hit()
	}},
	{name: "half-open", patience: impatient, strikes: 3, strike: func(p *ledgerPhase) {
		p.proxy.HalfOpen()
		p.hit()
	}},
	{name: "reset", patience: patient, strikes: 6, strike: func(p *ledgerPhase) {
		p.proxy.Reset()
		p.hit()
	}},
	{name: "truncate", patience: patient, strikes: 6, strike: func(p *ledgerPhase) {
		p.proxy.Truncate(int64(p.rand.IntN(600)))
		p.hit()
	}},
	{name: "refuse", patience: patient, strikes: 3, strike: func(p *ledgerPhase) {
		p.proxy.Set(netem.Conditions{Refuse: true})
		p.proxy.Reset()
		p.await(10, isFailed)
	}},
	{name: "foreign lock", patience: impatient, strikes: 3, kept: true, strike: func(p *ledgerPhase) {
		c, err := p.direct.Conn(context.Background())
		if err != nil {
			p.t.Error(err)
			return
		}
		defer c.Close()
		if _, err := c.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
			return // the writers had the lock
		}
		p.await(1, isFailed)
		p.await(1, isUnknown)
		if _, err := c.ExecContext(context.Background(), "ROLLBACK"); err != nil {
			p.t.Logf("the lock was taken away: %v", err)
		}
	}},
	{name: "kill", patience: patient, strikes: 12, strike: func(p *ledgerPhase) { p.kill() }},
	{name: "all at once", patience: impatient, strikes: 6, strike: func(p *ledgerPhase) {
		switch p.rand.IntN(6) {
		case 0:
			p.proxy.Drop()
		case 1:
			p.proxy.HalfOpen()
		case 2:
			p.proxy.Set(netem.Conditions{Paused: true})
		case 3:
			p.proxy.Reset()
		case 4:
			p.proxy.Truncate(int64(p.rand.IntN(600)))
		case 5:
			p.kill()
		}
		p.hit()
	}},
}

// misbehaving makes one request suffer a fault, after a few that have gone well: the
// next one, or the next that is of a kind of which there are few.
func misbehaving(faults ...hranatest.Fault) func(p *ledgerPhase) {
	return func(p *ledgerPhase) {
		fault := faults[p.rand.IntN(len(faults))]
		target := targets[p.struck%len(targets)]
		if p.struck++; target == nil {
			p.server.Inject(1, fault)
		} else {
			p.aimed.Store(&aim{target, fault})
		}
		for {
			p.await(1, isFailed, isUnknown, isUndone, isAcked)
			if p.aimed.Load() == nil || p.ctx.Err() != nil {
				return
			}
		}
	}
}

// An aim is a fault for the next request that fits.
type aim struct {
	fits  func(body []byte) bool
	fault hranatest.Fault
}

// targets are what strikes aim at, one after the other; nil is whatever comes.
var targets = []func(body []byte) bool{
	nil,
	func(body []byte) bool { // the end of an interactive transaction
		return bytes.Contains(body, []byte("COMMIT")) && !bytes.Contains(body, []byte("INSERT"))
	},
	func(body []byte) bool { // a transaction in one request
		return bytes.Contains(body, []byte("COMMIT")) && bytes.Contains(body, []byte("INSERT"))
	},
	func(body []byte) bool { // a statement of a transaction
		return bytes.Contains(body, []byte("is_autocommit")) && bytes.Contains(body, []byte("INSERT")) && !bytes.Contains(body, []byte("COMMIT"))
	},
}

// seen is what the server calls with every request.
func (p *ledgerPhase) seen(r *http.Request) {
	a := p.aimed.Load()
	if a == nil {
		return
	}
	if body, err := io.ReadAll(r.Body); err == nil && a.fits(body) && p.aimed.CompareAndSwap(a, nil) {
		p.server.Inject(1, a.fault)
	}
}

// serverFaults are what the embedded server does, in the manners of Turso Cloud.
var serverFaults = []fault{
	{name: "drop before", patience: patient, strikes: 25, strike: misbehaving(hranatest.DropBefore)},
	{name: "drop after", patience: patient, strikes: 25, strike: misbehaving(hranatest.DropAfter)},
	{name: "truncated answer", patience: patient, strikes: 25, strike: misbehaving(hranatest.Truncate)},
	{name: "garbage", patience: patient, strikes: 25, strike: misbehaving(hranatest.Garbage)},
	{name: "wrong shape", patience: patient, strikes: 25, strike: misbehaving(hranatest.WrongShape)},
	{name: "500, 502, 504", patience: patient, strikes: 25, strike: misbehaving(hranatest.Status(500, 0), hranatest.Status(502, 0), hranatest.Status(504, 0))},
	{name: "503", patience: patient, strikes: 25, strike: misbehaving(hranatest.Status(503, 0))},
	{name: "429", patience: patient, strikes: 25, never: []ending{isUnknown}, strike: misbehaving(hranatest.Status(429, 0))},
	{name: "late answers", patience: impatient, strikes: 3, kept: true, strike: func(p *ledgerPhase) {
		p.server.Delay(2 * impatient)
		p.await(1, isFailed)
		p.await(1, isUnknown)
	}},
	{name: "expired streams", patience: patient, strikes: 25, kept: true, never: []ending{isUnknown}, strike: func(p *ledgerPhase) {
		p.server.ExpireStreams()
	}},
	{name: "forgotten streams", patience: patient, strikes: 25, kept: true, never: []ending{isUnknown}, strike: func(p *ledgerPhase) {
		p.server.ForgetStreams()
	}},
	{name: "taken transactions", patience: patient, strikes: 25, kept: true, never: []ending{isUnknown}, strike: func(p *ledgerPhase) {
		p.server.TakeTransaction()
	}},
}
