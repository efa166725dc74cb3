package stream

import (
	"context"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// pingAfter is how long a pinned stream is idle before the keeper sends a
// request for it: half of the 10 s after which servers drop a stream.
const pingAfter = 5 * time.Second

// A keeper keeps the pinned streams of all sessions alive: those that hold what
// a new stream would not have. It has a goroutine only while there are any.
type keeper struct {
	pool   *Pool
	mu     sync.Mutex
	held   map[*Stream]struct{}
	wake   chan struct{} // closed to end the goroutine
	closed bool
}

func (k *keeper) add(s *Stream) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	if k.held == nil {
		k.held = map[*Stream]struct{}{}
	}
	k.held[s] = struct{}{}
	if k.wake == nil {
		k.wake = make(chan struct{})
		k.start(k.wake)
	}
}

func (k *keeper) remove(s *Stream) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.held[s]; !ok {
		return
	}
	delete(k.held, s)
	if len(k.held) == 0 {
		k.stop()
	}
}

func (k *keeper) stop() {
	if k.wake != nil {
		close(k.wake)
		k.wake = nil
	}
}

// close ends the keeper and gives the streams that it has kept alive.
func (k *keeper) close() []*Stream {
	k.mu.Lock()
	defer k.mu.Unlock()
	held := k.all()
	k.closed, k.held = true, nil
	k.stop()
	return held
}

// all are the streams that are held; k is locked.
func (k *keeper) all() []*Stream {
	held := make([]*Stream, 0, len(k.held))
	for s := range k.held {
		held = append(held, s)
	}
	return held
}

func (k *keeper) start(wake chan struct{}) {
	k.pool.client.Go(func(ctx context.Context) {
		tick := time.NewTicker(pingAfter / 2)
		defer tick.Stop()
		for {
			select {
			case <-wake:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				k.round(ctx)
			}
		}
	})
}

// round pings the streams that have been idle for long enough, side by side: one
// that does not answer must not cost the others their lives. What it returns ends
// with the last of them.
func (k *keeper) round(ctx context.Context) *sync.WaitGroup {
	k.mu.Lock()
	held := k.all()
	k.mu.Unlock()
	pings := new(sync.WaitGroup)
	for _, s := range held {
		pings.Add(1)
		if !k.pool.client.Go(func(context.Context) { defer pings.Done(); s.ping(ctx) }) {
			pings.Done()
		}
	}
	return pings
}

// ping renews the stream unless it is in use or was used lately. A failure that
// loses the stream is told to the session's next statement.
func (s *Stream) ping(ctx context.Context) {
	if !s.tryTake() {
		return // a request is under way, which renews it too
	}
	defer s.leave()
	if !s.pinned || s.lost != nil || s.baton == "" || s.cursor != nil && !s.cursor.whole() || s.pool.now().Sub(s.used) < pingAfter {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, pingAfter)
	defer cancel()
	s.pool.pings.Add(1)
	// A server may answer a request that asks for nothing by closing the stream
	// (SQL over HTTP, section 5.1).
	if _, err := s.attempt(ctx, exec.Write, &Plan{AskState: true}); err != nil && err.StreamLost {
		s.lost = err
	}
}
