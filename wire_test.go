package tursoopt_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
)

// slowServer is a server behind a path of 4 Mbit/s, which tells how often a
// compressed answer was asked for.
func slowServer(t *testing.T) (url string, asked *atomic.Int64, path *netem.Proxy) {
	t.Helper()
	asked = new(atomic.Int64)
	server := hranatest.NewServer(t, hranatest.Options{OnRequest: func(r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			asked.Add(1)
		}
	}})
	path, err := netem.Start(strings.TrimPrefix(server.URL(), "http://"), netem.Conditions{UpBytesPerSecond: 500_000, DownBytesPerSecond: 500_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(path.Close)
	return path.URL(), asked, path
}

const rowsQuery = "WITH RECURSIVE g(v) AS (SELECT 1 UNION ALL SELECT v+1 FROM g WHERE v < ?) SELECT v, 'person ' || v, 'city ' || (v % 97) FROM g"

// scan reads all that rowsQuery gives.
func scan(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	rows, err := db.QueryContext(context.Background(), rowsQuery, n)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	i := 0
	for rows.Next() {
		i++
		var v int
		var name, city string
		if err := rows.Scan(&v, &name, &city); err != nil || v != i || name != fmt.Sprint("person ", i) {
			t.Fatal(v, name, city, err)
		}
	}
	if rows.Err() != nil || i != n {
		t.Fatal(i, rows.Err())
	}
}

// On a slow path answers come compressed once the path and the text are known, and
// the statistics say so.
func TestCompressOnASlowPath(t *testing.T) {
	t.Parallel()
	url, asked, path := slowServer(t)
	db := openDSN(t, url)
	scan(t, db, 1) // what every request takes
	const n = 8
	for range n {
		scan(t, db, 1000)
	}
	before := path.Counts()
	scan(t, db, 1000)
	if down := path.Counts().Sub(before).BytesDown; down > 25_000 {
		t.Errorf("a list of 1,000 rows still takes %d bytes", down)
	}
	s, _ := tursoopt.StatsOf(db)
	w := s.Compression.Wire
	var gzip, plain tursoopt.AnswerStats
	for _, a := range w.Answers {
		switch a.Coding {
		case "gzip":
			gzip.Count, gzip.Received, gzip.Raw, gzip.Time = gzip.Count+a.Count, gzip.Received+a.Received, gzip.Raw+a.Raw, gzip.Time+a.Time
		case "plain":
			plain.Count, plain.Received, plain.Raw = plain.Count+a.Count, plain.Received+a.Received, plain.Raw+a.Raw
		}
		if a.Encoding != tursoopt.EncodingJSON && a.Encoding != tursoopt.EncodingProtobuf {
			t.Errorf("an encoding %q", a.Encoding)
		}
	}
	if gzip.Count < n/2 || gzip.Count != uint64(asked.Load()) || gzip.Raw < 2*gzip.Received || gzip.Time <= 0 {
		t.Errorf("gzip: %+v, asked for %d times", gzip, asked.Load())
	}
	if plain.Count == 0 || plain.Received == 0 || plain.Raw != plain.Received {
		t.Errorf("plain: %+v", plain)
	}
	if w.Sent == 0 || w.Skipped["small, as far as is known"] == 0 {
		t.Errorf("%+v", w)
	}
}

func TestCompressOff(t *testing.T) {
	t.Parallel()
	url, asked, _ := slowServer(t)
	db := openDSN(t, url+"?compress=off")
	for range 5 {
		scan(t, db, 300)
	}
	s, _ := tursoopt.StatsOf(db)
	w := s.Compression.Wire
	if asked.Load() != 0 || w.Skipped["compress=off"] < 5 {
		t.Errorf("asked for %d times, %+v", asked.Load(), w)
	}
	for _, a := range w.Answers {
		if a.Coding != "plain" {
			t.Errorf("%+v", a)
		}
	}
}

// A text that many callers have at a time is sent once, and counted.
func TestTextSavedIsFed(t *testing.T) {
	t.Parallel()
	db := openDSN(t, hranatest.NewServer(t, hranatest.Options{}).URL()+"?lanes=1")
	query := "SELECT ? + " + strings.Repeat("0 + ", 100) + "0"
	mustExec(t, db, query, 1)
	await(t, "callers who share a request", func() bool {
		var all sync.WaitGroup
		for i := range 64 {
			all.Go(func() {
				var v int
				if err := db.QueryRowContext(t.Context(), query, i).Scan(&v); err != nil || v != i {
					t.Error(v, err)
				}
			})
		}
		all.Wait()
		s, _ := tursoopt.StatsOf(db)
		return s.Compression.Wire.TextSaved > 1<<10
	})
}
