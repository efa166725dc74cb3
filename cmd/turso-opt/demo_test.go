package main

import (
	"context"
	"database/sql"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// demoRequests gives the requests of a step of the demo, by driver.
func demoRequests(t *testing.T, output, step string) (base, ours int) {
	t.Helper()
	_, part, ok := strings.Cut(output, "\n"+step+"\n")
	lines := strings.Split(part, "\n")
	if !ok || len(lines) < 2 {
		t.Fatalf("there is no %q in\n%s", step, output)
	}
	columns := regexp.MustCompile(` {2,}`)
	number := func(line, driver string) int {
		fields := columns.Split(strings.TrimSpace(line), -1)
		if len(fields) != 7 || fields[0] != driver {
			t.Fatalf("%q is no line of %s", line, driver)
		}
		n, err := strconv.Atoi(strings.ReplaceAll(fields[3], ",", ""))
		if err != nil {
			t.Fatalf("%q has no number of requests", line)
		}
		return n
	}
	return number(lines[0], "libsql-client-go"), number(lines[1], "turso-opt")
}

func TestDemoOnTheEmbeddedServer(t *testing.T) {
	o := run(t, nil, "demo", "--rtt", "1ms")
	o.want(t, exitOK, "embedded server", "round-trip time 1.00 ms", "times less", "counted by a proxy")
	if !strings.Contains(o.stderr, "turso-opt: 25 inserts\n") {
		t.Errorf("no progress is shown: %q", o.stderr)
	}
	// What the server sees does not depend on the machine: two requests for each
	// statement of the one, one at most of the other.
	if base, ours := demoRequests(t, o.stdout, "50 reads by key"); base < 98 || ours > 50 || ours < 1 {
		t.Errorf("reads took %d and %d requests", base, ours)
	}
	if base, ours := demoRequests(t, o.stdout, "5 transactions of 3 updates"); base < 27 || ours > 20 || ours < 5 {
		t.Errorf("transactions took %d and %d requests", base, ours)
	}
}

func TestDemoOnADatabase(t *testing.T) {
	url := sqld.ForTest(t, sqld.Options{}).URL()
	for name, o := range map[string]outcome{
		"by flag":        run(t, nil, "demo", "--url", url),
		"by environment": run(t, map[string]string{"TURSO_DATABASE_URL": url}, "demo"),
	} {
		t.Run(name, func(t *testing.T) {
			o.want(t, exitOK, "sqld", url, "network: as it is")
			if strings.Contains(o.stderr, "starting") {
				t.Error("it starts a server of its own")
			}
		})
	}
	noTables(t, url)
}

// noTables fails the test if the database is not as empty as it was.
func noTables(t *testing.T, url string) {
	t.Helper()
	db, err := sql.Open("turso-opt", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var names sql.NullString
	if err := db.QueryRowContext(context.Background(), "SELECT group_concat(name) FROM sqlite_master").Scan(&names); err != nil {
		t.Fatal(err)
	}
	if names.Valid {
		t.Errorf("left behind: %s", names.String)
	}
}

func TestDemoTidiesUpWhenInterrupted(t *testing.T) {
	s := hranatest.NewServer(t, hranatest.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		awaitTable(ctx, s.URL())
	}()
	o := runContext(ctx, nil, "demo", "--url", s.URL())
	<-done
	o.want(t, exitFailed)
	noTables(t, s.URL())
}

// awaitTable returns when the database has a table.
func awaitTable(ctx context.Context, url string) {
	db, err := sql.Open("turso-opt", url)
	if err != nil {
		return
	}
	defer db.Close()
	for n := 0; n == 0 && err == nil; {
		err = db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&n)
	}
}

func TestDemoOnNoDatabase(t *testing.T) {
	o := run(t, nil, "demo", "--url", "http://127.0.0.1:1?authToken=geheim")
	o.want(t, exitFailed)
	if strings.Contains(o.stdout+o.stderr, "geheim") {
		t.Error("the token is shown")
	}
}
