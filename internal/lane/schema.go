package lane

import (
	"context"
	"sync"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A schemaCheck knows whether writes of several callers may share a transaction
// in this schema. With a DEFERRABLE constraint they may not: one caller's row
// could make another's valid at the commit that they share. Nor may they where a
// trigger, a view or a default asks for the connection's last row id or its
// counts, which would be a stranger's.
//
// What it knows is true of one version of the schema. The statement that check
// returns fails if the server has another by then; it runs inside the shared
// transaction, before the writes.
type schemaCheck struct {
	mu       sync.Mutex
	known    bool
	version  int64
	shares   bool
	nextTry  time.Time
	off      bool
	learning chan struct{} // closed when whoever looks has looked
}

const (
	// schemaAgain is how long a schema that forbids sharing is not looked at again.
	schemaAgain = 10 * time.Second
	// schemaRetry is how long it is not looked at after that has failed.
	schemaRetry = 500 * time.Millisecond
	// schemaLook bounds a look at it, for which writes wait.
	schemaLook = 5 * time.Second
)

// ask tells the version and whether there is, or may be, what forbids sharing.
const ask = "SELECT (SELECT schema_version FROM pragma_schema_version), " +
	"EXISTS(SELECT 1 FROM sqlite_schema WHERE sql LIKE '%DEFERR%' OR sql LIKE '%last_insert_rowid%'" +
	" OR sql LIKE '%changes%' AND (type IN ('trigger', 'view') OR replace(sql, ' ', '') LIKE '%changes()%'))"

// same fails unless the schema has the version that it is told: abs() of the
// smallest integer is an error.
const same = "SELECT iif((SELECT schema_version FROM pragma_schema_version)=?,0,abs(-9223372036854775807-1))"

var askNote, sameNote exec.Note

// check returns the statement to run before shared writes; ok is false if they
// may not share.
func (s *schemaCheck) check(ctx context.Context, l *Lanes) (_ exec.Stmt, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.off && (!s.known || !s.shares) && !time.Now().Before(s.nextTry) {
		if s.learning == nil {
			s.learning = make(chan struct{})
			s.mu.Unlock()
			version, shares, known := look(ctx, l)
			s.mu.Lock()
			close(s.learning)
			s.learning = nil
			s.known, s.version, s.shares = known, version, shares
			if known {
				s.nextTry = time.Now().Add(schemaAgain)
			} else {
				s.nextTry = time.Now().Add(schemaRetry)
			}
			continue
		}
		learning := s.learning
		s.mu.Unlock()
		select {
		case <-learning:
			s.mu.Lock()
		case <-ctx.Done():
			s.mu.Lock()
			return exec.Stmt{}, false
		}
	}
	if s.off || !s.known || !s.shares {
		return exec.Stmt{}, false
	}
	return exec.Stmt{SQL: same, Args: []exec.Value{{Kind: exec.Integer, Int: s.version}}, Note: &sameNote}, true
}

// forbids tells whether it is known that writes may not share for now.
func (s *schemaCheck) forbids() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off || (!s.known || !s.shares) && time.Now().Before(s.nextTry)
}

// look asks the server.
func look(ctx context.Context, l *Lanes) (version int64, shares, known bool) {
	ctx, cancel := context.WithTimeout(ctx, schemaLook)
	defer cancel()
	resp, err := l.streams.Do(ctx, &exec.Request{Stmts: []exec.Stmt{{SQL: ask, WantRows: true, Note: &askNote}}, Class: exec.Read})
	if err != nil || resp.Results[0].Result == nil {
		return 0, false, false
	}
	t := &resp.Results[0].Result.Rows
	if t.Len() != 1 || t.Width() != 2 || t.Kind(0, 0) != exec.Integer || t.Kind(0, 1) != exec.Integer {
		return 0, false, false
	}
	return t.Int(0, 0), t.Int(0, 1) == 0, true
}

// forget has the schema looked at again: it is another.
func (s *schemaCheck) forget() {
	s.mu.Lock()
	s.known, s.nextTry = false, time.Time{}
	s.mu.Unlock()
}

// never is for a server on which writes cannot share.
func (s *schemaCheck) never() {
	s.mu.Lock()
	s.off = true
	s.mu.Unlock()
}
