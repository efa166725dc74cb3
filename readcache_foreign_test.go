package tursoopt_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sort"
	"sync"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

const (
	foreignRows   = 6
	foreignEnv    = "TURSO_OPT_TEST_WRITER"
	foreignSchema = "CREATE TABLE v (id INTEGER PRIMARY KEY, n INTEGER NOT NULL); CREATE TABLE w (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)"
	foreignWrite  = "UPDATE v SET n = max(n, ?) WHERE id = ?"
)

// TestForeignWriter is what another process does, which another test starts: it
// writes the time into rows, and says what has been acknowledged and when, until its
// input ends. By itself it does nothing.
func TestForeignWriter(t *testing.T) {
	dsn := os.Getenv(foreignEnv)
	if dsn == "" {
		return
	}
	db, err := sql.Open("turso-opt", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }()
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	// A replica on a busy machine falls behind for good where more is written than it can
	// take in, and reads that wait for it are given up then.
	pace := time.NewTicker(4 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ended:
			return
		case <-pace.C:
		}
		id, n := r.IntN(foreignRows), time.Now().UnixNano()
		if _, err := db.Exec(foreignWrite, n, id); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("acknowledged %d %d %d\n", id, n, time.Now().UnixNano())
	}
}

// An acknowledgement is what a row had at least from a time on.
type acknowledgement struct{ at, n int64 }

// foreign are writers in processes of their own.
type foreign struct {
	mu    sync.Mutex
	acks  [foreignRows][]acknowledgement
	wg    sync.WaitGroup
	stops []func()
}

// start begins another writer.
func (f *foreign) start(t *testing.T, url string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestForeignWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), foreignEnv+"="+url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	f.wg.Go(func() {
		n, lines := 0, bufio.NewScanner(out)
		for lines.Scan() {
			var id, version, at int64
			if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d %d %d", &id, &version, &at); err != nil {
				continue // what the test binary says
			}
			if n++; n == 1 {
				close(begun)
			}
			f.mu.Lock()
			f.acks[id] = append(f.acks[id], acknowledgement{at, version})
			f.mu.Unlock()
		}
		if err := cmd.Wait(); err != nil || n == 0 {
			t.Errorf("a writer ended with %v after %d writes", err, n)
		}
		if n == 0 {
			close(begun)
		}
	})
	f.stops = append(f.stops, func() { _ = in.Close() })
	<-begun
}

// stop ends them, and puts what they have said in order.
func (f *foreign) stop() {
	for _, stop := range f.stops {
		stop()
	}
	f.wg.Wait()
	for id := range f.acks {
		a := f.acks[id]
		sort.Slice(a, func(i, j int) bool { return a[i].at < a[j].at })
		for i := 1; i < len(a); i++ {
			a[i].n = max(a[i].n, a[i-1].n)
		}
	}
}

// least is what a row had for certain at a time.
func (f *foreign) least(id int, at int64) int64 {
	a := f.acks[id]
	if i := sort.Search(len(a), func(i int) bool { return a[i].at > at }); i > 0 {
		return a[i-1].n
	}
	return 0
}

// A foreignReader reads with a cache, and notes what it gets.
type foreignReader struct {
	db    *sql.DB
	own   [foreignRows]int64 // what it has written itself
	seen  [foreignRows]int64
	reads []struct {
		id       int
		began, n int64
	}
	back, lost int
}

func (r *foreignReader) run(ctx context.Context, t *testing.T, writes bool) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := 0; ctx.Err() == nil; i++ {
		id := rnd.IntN(foreignRows)
		if writes && i%50 == 0 {
			n := time.Now().UnixNano()
			if _, err := r.db.Exec(foreignWrite, n, id); err != nil {
				t.Error(err)
				return
			}
			r.own[id] = max(r.own[id], n)
		}
		began := time.Now().UnixNano()
		var n int64
		var err error
		if i%7 == 0 { // of the whole table, for the cache
			err = r.db.QueryRow("SELECT max(CASE WHEN id = ? THEN n END) FROM v", id).Scan(&n)
		} else {
			err = r.db.QueryRow("SELECT n FROM v WHERE id = ?", id).Scan(&n)
		}
		if err != nil {
			t.Error(err)
			return
		}
		if n < r.seen[id] {
			r.back++
		}
		if n < r.own[id] {
			r.lost++
		}
		r.seen[id] = max(r.seen[id], n)
		r.reads = append(r.reads, struct {
			id       int
			began, n int64
		}{id, began, n})
	}
}

// foreignFor is how long other processes write.
const foreignFor = 1200 * time.Millisecond

// What other processes have written is seen when the lease has ended, whoever has
// taken the time: readers beside writers in three processes, and one that writes
// itself and misses nothing of that.
func TestCacheBesideOtherProcesses(t *testing.T) {
	t.Parallel()
	const lease = 150 * time.Millisecond
	server := sqld.ForTest(t, sqld.Options{})
	e := &env{url: server.URL()}
	plain := e.open(t)
	mustExec(t, plain, foreignSchema)
	for id := range foreignRows {
		mustExec(t, plain, "INSERT INTO v VALUES (?, 0)", id)
	}
	var f foreign
	for range 3 {
		f.start(t, server.URL())
	}
	ctx, cancel := context.WithTimeout(t.Context(), foreignFor)
	defer cancel()
	var readers [3]foreignReader
	var wg sync.WaitGroup
	for i := range readers {
		r := &readers[i]
		r.db = e.open(t, "cache=1MiB", "cache_lease="+lease.String())
		if err := tursoopt.LearnSchema(t.Context(), r.db); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { r.run(ctx, t, i == 0) })
	}
	wg.Wait()
	f.stop()
	for i := range readers {
		r := &readers[i]
		old, held := 0, 0
		for _, read := range r.reads {
			if read.n < f.least(read.id, read.began-int64(lease)) {
				old++
			}
			if read.n < f.least(read.id, read.began) {
				held++ // the cache has kept it for a while
			}
		}
		s := cacheStats(t, r.db)
		t.Logf("%d reads, %d hits, %d expired, %d behind the last write", len(r.reads), s.Hits, s.Expired, held)
		if old > 0 || r.lost > 0 {
			t.Errorf("of %d reads %d were older than the lease, %d behind what the same process had written", len(r.reads), old, r.lost)
		}
		if s.Hits < uint64(len(r.reads)/2) || s.Expired == 0 || held == 0 {
			t.Errorf("nothing is proven: %+v", s)
		}
	}
}

// On a primary and its replica no read goes back behind what its program has seen or
// written, with a cache as without: on the replica nothing is kept, as soon as it is
// known for one, which is before the first read is.
func TestCacheOnAReplica(t *testing.T) {
	t.Parallel()
	primary := sqld.ForTest(t, sqld.Options{Replicated: true})
	replica := sqld.ForTest(t, sqld.Options{Primary: primary})
	atPrimary, atReplica := &env{url: primary.URL()}, &env{url: replica.URL()}
	plain := atPrimary.open(t)
	mustExec(t, plain, foreignSchema)
	for id := range foreignRows {
		mustExec(t, plain, "INSERT INTO v VALUES (?, 0); INSERT INTO w VALUES (?, 0)", id, id)
	}
	var f foreign
	f.start(t, primary.URL())
	f.start(t, replica.URL())
	ctx, cancel := context.WithTimeout(t.Context(), foreignFor)
	defer cancel()
	readers := []*foreignReader{{db: atReplica.cached(t)}, {db: atReplica.cached(t)}}
	for _, r := range readers { // until what was made has arrived
		mustExec(t, r.db, foreignWrite, 0, 0)
		queryInt(t, r.db, "SELECT n FROM v WHERE id = 0")
		if err := tursoopt.LearnSchema(t.Context(), r.db); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() { r.run(ctx, t, i == 0) })
	}
	wg.Wait()
	f.stop()
	for i, r := range readers {
		s := cacheStats(t, r.db)
		t.Logf("reader %d: %d reads, %+v", i, len(r.reads), s)
		if r.back > 0 || r.lost > 0 || s.Fills > 0 || len(r.reads) == 0 {
			t.Errorf("of %d reads %d went back, %d were behind what the same process had written; %d results were kept", len(r.reads), r.back, r.lost, s.Fills)
		}
	}
	// A trigger of which the replica does not know yet is the primary's affair.
	db := atReplica.cached(t)
	if err := tursoopt.LearnSchema(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	queryInt(t, db, "SELECT n FROM w WHERE id = 1")
	mustExec(t, plain, "CREATE TRIGGER copies AFTER UPDATE ON v BEGIN UPDATE w SET n = new.n WHERE id = new.id; END")
	mustExec(t, db, "UPDATE v SET n = 9000000000000000000 WHERE id = 1")
	if n := queryInt(t, db, "SELECT n FROM w WHERE id = 1"); n != 9000000000000000000 {
		t.Errorf("%d after a write that a trigger of the primary's has copied", n)
	}
}
