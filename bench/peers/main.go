// Command peers measures other clients for libSQL and turso-opt with the same
// loops, each run on a fresh sqld, and prints one table. run.sh builds the peers
// that this machine has the tools for and starts it.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	_ "github.com/turso-opt/turso-opt" // registers libsql-client-go too

	"github.com/turso-opt/turso-opt/bench/peers/loops"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// A peer is a command that runs one loop: command... URL KIND CALLERS SECONDS.
type peer struct {
	name    string
	command []string
}

// The scenarios, in the order of the table's columns.
var scenarios = []struct {
	title string
	job   loops.Job
}{
	{"SELECT, 1 caller", loops.Job{Kind: loops.Select, Callers: 1}},
	{"SELECT, 32 callers", loops.Job{Kind: loops.Select, Callers: 32}},
	{"INSERT, 1 caller", loops.Job{Kind: loops.Insert, Callers: 1}},
	{"INSERT, 32 callers", loops.Job{Kind: loops.Insert, Callers: 32}},
	{"transaction, 1 caller", loops.Job{Kind: loops.Transaction, Callers: 1}},
}

// hung is how much longer than its job a peer may take.
const hung = 20 * time.Second

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 2 && os.Args[1] == "client" {
		err = client(ctx, os.Args[2], os.Args[3:])
	} else {
		err = measure(ctx)
	}
	if err != nil {
		log.Fatal("peers: ", err)
	}
}

// clients are the modules of the drivers in this binary.
var clients = map[string]string{
	"libsql":    "github.com/tursodatabase/libsql-client-go",
	"turso-opt": "github.com/turso-opt/turso-opt",
}

// client is the peers that are in this binary: client DRIVER URL KIND CALLERS
// SECONDS. They run in a process of their own, as all others do.
func client(ctx context.Context, driver string, args []string) error {
	if len(args) == 0 {
		return errors.New("no URL")
	}
	db, err := sql.Open(driver, args[0])
	if err != nil {
		return err
	}
	defer db.Close()
	return loops.Main(ctx, db, clients[driver], args[1:], os.Stdout)
}

func measure(ctx context.Context) error {
	seconds := flag.Float64("seconds", 1.5, "measured time of each run")
	golibsql := flag.String("golibsql", "", "the `binary` of the peer go-libsql")
	libsqljs := flag.String("libsqljs", "", "the `script` of the peer @libsql/client")
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	peers := []peer{{"libsql-client-go", []string{self, "client", "libsql"}}}
	if *golibsql != "" {
		peers = append(peers, peer{"go-libsql", []string{*golibsql}})
	}
	if *libsqljs != "" {
		for _, transport := range []string{"http", "ws"} {
			peers = append(peers, peer{"@libsql/client, " + transport, []string{"node", *libsqljs, transport}})
		}
	}
	peers = append(peers, peer{"turso-opt", []string{self, "client", "turso-opt"}})

	// Peers take turns, so that a change of the machine's mood meets them all.
	cells := make([][]cell, len(peers))
	failed := false
	for i, s := range scenarios {
		s.job.Time = time.Duration(*seconds * float64(time.Second))
		for p := range peers {
			progress(i*len(peers)+p+1, len(scenarios)*len(peers), s.title, peers[p].name)
			c := one(ctx, peers[p], s.job)
			if err := ctx.Err(); err != nil {
				return err
			}
			failed = failed || c.err != nil
			cells[p] = append(cells[p], c)
		}
	}
	progressDone()
	printTable(os.Stdout, peers, cells)
	if failed {
		return errors.New("not every run went well")
	}
	return nil
}

// one runs a job through a peer on a fresh server, and looks whether the server
// has what was acknowledged.
func one(ctx context.Context, p peer, j loops.Job) (c cell) {
	s, err := sqld.Start(sqld.Options{})
	if err != nil {
		return cell{err: err}
	}
	defer func() { c.err = errors.Join(c.err, s.Stop()) }()
	db, err := sql.Open("libsql", s.URL())
	if err != nil {
		return cell{err: err}
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, loops.Schema); err != nil {
		return cell{err: err}
	}
	if c.report, err = run(ctx, p, s.URL(), j); err != nil {
		return cell{err: err}
	}
	c.err = remembered(ctx, db, j, c.report)
	return c
}

// run starts the peer's command and reads its report.
func run(ctx context.Context, p peer, url string, j loops.Job) (r loops.Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, j.Time+hung)
	defer cancel()
	args := append(p.command[1:len(p.command):len(p.command)], append([]string{url}, j.Args()...)...)
	cmd := exec.CommandContext(ctx, p.command[0], args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("no end within %s", j.Time+hung)
	case err != nil:
		return r, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("the report %q: %w", out, err)
	}
	if r.Ops == 0 || r.Seconds <= 0 {
		return r, fmt.Errorf("nothing was done, %d errors: %s", r.Errors, r.Error)
	}
	return r, nil
}

// remembered compares what a peer says it has written with what is there; an
// operation that failed may have been carried out.
func remembered(ctx context.Context, db *sql.DB, j loops.Job, r loops.Report) error {
	var query string
	want := r.Done
	switch j.Kind {
	case loops.Insert:
		query = "SELECT count(*) FROM log"
	case loops.Transaction:
		query = "SELECT sum(n) / 3 FROM t"
	default:
		return nil
	}
	var got int
	if err := db.QueryRowContext(ctx, query).Scan(&got); err != nil {
		return err
	}
	if got < want || got > want+r.Errors {
		return fmt.Errorf("%d writes were acknowledged and %d failed, %d are there", want, r.Errors, got)
	}
	return nil
}
