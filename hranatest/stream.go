package hranatest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A stream is a client's session: a connection, its stored texts, and the baton
// that its next request must bring.
type stream struct {
	id, count uint64
	conn      *conn // nil once it is closed
	sqls      map[int32]string
	state     streamState
	timer     *time.Timer // expires the stream, and later forgets that it was
	due       time.Time   // when the timer is to fire
}

type streamState uint8

const (
	inUse streamState = iota
	available
	expired
)

// expiredMemory is how long an expired stream's baton is told from an invalid
// one.
const expiredMemory = 300 * time.Second

// maxLost is how many times batons can be forgotten and still be told from
// invalid ones.
const maxLost = 8

// streams are all streams of a server. Their state belongs to mu; conn and sqls
// of a stream in use belong to the request that uses it.
type streams struct {
	engine *engine
	idle   time.Duration
	wait   time.Duration
	slots  chan struct{} // one for each open stream

	opened atomic.Int64

	mu   sync.Mutex
	key  batonKey
	lost []batonKey // of batons that were forgotten, the last few
	byID map[uint64]*stream
}

func newStreams(e *engine, o Options) *streams {
	return &streams{
		engine: e,
		idle:   o.StreamIdle,
		wait:   o.OpenTimeout,
		slots:  make(chan struct{}, o.MaxStreams),
		key:    newBatonKey(),
		byID:   make(map[uint64]*stream),
	}
}

// acquire gives the stream that a baton stands for, or a new one for an empty
// baton, to a request. The error is a *failure.
func (ss *streams) acquire(ctx context.Context, baton string) (*stream, error) {
	if baton == "" {
		return ss.open(ctx)
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	id, count, ok := ss.key.decode(baton)
	if !ok {
		for i := range ss.lost {
			if _, _, ok := ss.lost[i].decode(baton); ok {
				return nil, errStreamLost
			}
		}
		return nil, errBatonInvalid
	}
	s := ss.byID[id]
	switch {
	case s == nil:
		return nil, errBatonInvalid
	case s.state == inUse:
		return nil, errBatonReused
	case s.state == expired:
		return nil, errStreamGone
	case s.count != count:
		return nil, errBatonReused
	}
	s.timer.Stop()
	s.state = inUse
	s.count++
	return s, nil
}

func (ss *streams) open(ctx context.Context) (*stream, error) {
	select {
	case ss.slots <- struct{}{}:
	default:
		timer := time.NewTimer(ss.wait)
		defer timer.Stop()
		select {
		case ss.slots <- struct{}{}:
		case <-timer.C:
			return nil, errNoStreamFree
		case <-ctx.Done():
			return nil, errNoStreamFree
		}
	}
	c, err := ss.engine.get()
	if err != nil {
		<-ss.slots
		return nil, internal(messageOf(err))
	}
	c.retain()
	ss.opened.Add(1)
	s := &stream{id: randomUint64(), count: randomUint64(), conn: c}
	ss.mu.Lock()
	ss.byID[s.id] = s
	ss.mu.Unlock()
	return s, nil
}

// closeConn is what a close request does; the stream goes with the end of its
// HTTP request.
func (ss *streams) closeConn(s *stream) {
	if s.conn != nil {
		s.conn.release()
		s.conn = nil
		<-ss.slots
	}
}

// release ends a request's use of a stream and gives the baton for the next
// one, empty if the stream is closed.
func (ss *streams) release(s *stream) string {
	if s.conn == nil {
		ss.drop(s)
		return ""
	}
	ss.mu.Lock()
	defer ss.mu.Unlock()
	baton := ss.key.encode(s.id, s.count)
	if ss.byID[s.id] != s {
		// All batons were forgotten in the meantime, this one too.
		ss.closeConn(s)
		return baton
	}
	s.state = available
	ss.arm(s, ss.idle)
	return baton
}

// drop ends a stream that is in use.
func (ss *streams) drop(s *stream) {
	ss.closeConn(s)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byID[s.id] == s {
		delete(ss.byID, s.id)
	}
}

// arm has the timer fire after d; ss is locked.
func (ss *streams) arm(s *stream, d time.Duration) {
	s.due = time.Now().Add(d)
	if s.timer == nil {
		s.timer = time.AfterFunc(d, func() { ss.timeout(s) })
	} else {
		s.timer.Reset(d)
	}
}

// timeout is called when a stream's timer fires. It may have fired just before
// the stream was used, and come to the lock only after it was released again.
func (ss *streams) timeout(s *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case ss.byID[s.id] != s, time.Now().Before(s.due):
	case s.state == available:
		ss.expire(s)
	case s.state == expired:
		delete(ss.byID, s.id)
	}
}

// expire ends a stream that nobody uses; ss is locked.
func (ss *streams) expire(s *stream) {
	s.state = expired
	ss.closeConn(s)
	ss.arm(s, expiredMemory)
}

// expireAll expires every stream that nobody uses and says how many.
func (ss *streams) expireAll() int {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	n := 0
	for _, s := range ss.byID {
		if s.state == available {
			ss.expire(s)
			n++
		}
	}
	return n
}

// forget makes every baton invalid and closes the streams. One that is in use
// is closed when its request ends.
func (ss *streams) forget() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if len(ss.lost) == maxLost {
		ss.lost = ss.lost[1:]
	}
	ss.lost = append(ss.lost, ss.key)
	ss.key = newBatonKey()
	for id, s := range ss.byID {
		if s.timer != nil {
			s.timer.Stop()
		}
		if s.state == available {
			ss.closeConn(s)
		}
		delete(ss.byID, id)
	}
}

// count is how many streams are open.
func (ss *streams) count() int { return len(ss.slots) }

// stateless reports whether a client can tell the stream from a new one.
func (st *stream) stateless() bool {
	if st.conn == nil || len(st.sqls) > 0 {
		return false
	}
	st.conn.mu.Lock()
	defer st.conn.mu.Unlock()
	return st.conn.db.GetAutocommit() && !st.conn.taken && !st.conn.set
}
