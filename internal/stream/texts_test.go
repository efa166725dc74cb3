package stream

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/hranahttp"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// reads are n statements of one text, each with an argument of its own.
func reads(text string, n int) []exec.Stmt {
	all := make([]exec.Stmt, n)
	for i := range all {
		all[i] = exec.Stmt{SQL: text, Args: []exec.Value{{Kind: exec.Integer, Int: int64(i)}}, WantRows: true, Note: new(exec.Note)}
	}
	return all
}

// gets fails unless each of the reads has its own answer.
func gets(t testing.TB, results []exec.StmtResult, whole *exec.Error, err error) {
	t.Helper()
	if err != nil || whole != nil {
		t.Fatalf("%v, %v", whole, err)
	}
	for i := range results {
		if r := results[i]; r.Err != nil || r.Result == nil || r.Result.Rows.Int(0, 0) != int64(i) {
			t.Fatalf("the read %d has %+v, %v", i, r.Result, r.Err)
		}
	}
}

// Texts of different lengths, and what is sent once of them.
func TestTextsAreSentOnce(t *testing.T) {
	long := "SELECT ? -- " + strings.Repeat("x", 300)
	for _, c := range []struct {
		name  string
		stmts []exec.Stmt
		texts int // stored
	}{
		{"one text", reads(long, 10), 1},
		{"short ones", reads("SELECT ?", 10), 0},
		{"too long for the server", reads("SELECT ? -- "+strings.Repeat("x", maxTextSize), 10), 0},
		{"alone", reads(long, 1), 0},
		{"two texts and a stranger", append(append(reads(long, 10), reads(long+"y", 10)...), reads("SELECT ?", 3)...), 2},
		{"more than the server stores", func() (all []exec.Stmt) {
			for i := range maxTexts + 10 {
				all = append(all, reads(fmt.Sprint(long, i), 5)...)
			}
			return all
		}(), maxTexts},
	} {
		plan := Plan{Stmts: c.stmts, Shape: Independent}
		compiled := plan.compile(hranahttp.V3Protobuf, 0, false)
		var all texts
		sent := all.share(&plan, &compiled)
		if want := 2*c.texts + len(compiled.reqs); sent.stored != c.texts || len(sent.reqs) != want {
			t.Errorf("%s: %d texts stored in %d requests, want %d in %d", c.name, sent.stored, len(sent.reqs), c.texts, want)
		}
	}
}

// Each caller gets its own answer on servers of every kind, request after request
// on the same stream.
func TestTextsOnServers(t *testing.T) {
	text := "SELECT ? -- " + strings.Repeat("x", 300)
	stmts := append(reads(text, 10), reads("SELECT ?", 3)...)
	for i := range stmts {
		stmts[i].Args[0].Int = int64(i)
	}
	inProfiles(t, func(t *testing.T, r *rig) {
		for range 3 {
			results, whole, err := r.Share(context.Background(), stmts, false)
			gets(t, results, whole, err)
		}
	})
	t.Run("real sqld", func(t *testing.T) {
		p, _ := onSqld(t, netem.Conditions{})
		for range 3 {
			results, whole, err := p.Share(context.Background(), stmts, false)
			gets(t, results, whole, err)
		}
		for range 2 {
			g, ok, err := p.CommitGroup(context.Background(), &Group{Check: exec.Stmt{SQL: "SELECT 1", Note: new(exec.Note)}, Stmts: stmts})
			if err != nil || !ok || !g.Committed {
				t.Fatalf("%+v, %v", g, err)
			}
			gets(t, g.Results, nil, nil)
		}
	})
}

// Where a server stores no texts they are sent as they are from then on.
func TestTextsRefused(t *testing.T) {
	plan := Plan{Stmts: reads("SELECT ? -- "+strings.Repeat("x", 300), 10), Shape: Independent}
	compiled := plan.compile(hranahttp.V3JSON, 0, false)
	var all texts
	sent := all.share(&plan, &compiled)
	answers := make([]hrana.StreamResult, len(sent.reqs))
	answers[0].Err = &hrana.Error{Message: "no"}
	if own, err := all.results(&sent, answers); err != nil || len(own) != len(compiled.reqs) {
		t.Errorf("%d results, %v", len(own), err)
	}
	compiled = plan.compile(hranahttp.V3JSON, 0, false)
	if sent := all.share(&plan, &compiled); sent.stored != 0 {
		t.Error("stored again")
	}
	if _, err := new(texts).results(&sent, answers[:2]); err == nil {
		t.Error("answers are missing, and nobody minds")
	}
}

func onSqld(t testing.TB, c netem.Conditions) (*Pool, *netem.Proxy) {
	t.Helper()
	server := sqld.ForTest(t, sqld.Options{})
	proxy, err := netem.Start(strings.TrimPrefix(server.URL(), "http://"), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	u, err := url.Parse(proxy.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := hranahttp.New(hranahttp.Config{URL: u, LateTimeout: time.Minute})
	p := NewPool(client, nil, nil)
	t.Cleanup(func() {
		p.Close()
		client.Close()
	})
	if _, err := p.Do(context.Background(), &exec.Request{Class: exec.Read, Stmts: reads("SELECT ?", 1)}); err != nil {
		t.Fatal(err)
	}
	client.AwaitLevel(context.Background())
	return p, proxy
}

// What it costs the server and saves the path to send texts once.
func BenchmarkTexts(b *testing.B) {
	for _, rate := range []int64{0, 100e6 / 8, 10e6 / 8} {
		for _, c := range []struct{ n, size int }{{8, 40}, {64, 40}, {8, 150}, {64, 150}, {8, 600}, {64, 600}} {
			p, proxy := onSqld(b, netem.Conditions{UpBytesPerSecond: rate, DownBytesPerSecond: rate})
			text := "SELECT ? --"
			text += strings.Repeat("x", c.size-len(text))
			stmts := reads(text, c.n)
			for _, off := range []bool{true, false} {
				p.texts.off.Store(off)
				b.Run(fmt.Sprintf("%d-Mbit/%d-of-%dB/once=%t", rate*8/1e6, c.n, c.size, !off), func(b *testing.B) {
					before := proxy.Counts()
					for b.Loop() {
						results, whole, err := p.Share(context.Background(), stmts, false)
						gets(b, results, whole, err)
					}
					b.ReportMetric(float64(proxy.Counts().BytesUp-before.BytesUp)/float64(b.N), "B-up/op")
				})
			}
		}
	}
}
