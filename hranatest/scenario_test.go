package hranatest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/turso-opt/turso-opt/internal/hrana"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// What takes time is played by both servers at once, each with its own copy of
// the script, on the clock: that sqld's idle time and transaction timeout are
// those of the defaults is part of what is compared.

// A scenario says something to a server and returns all that it was told.
type scenario func(k *talk) (told []string)

// both plays a scenario with a real sqld and with a Server, in JSON and in
// protobuf.
func both(t *testing.T, play scenario) {
	t.Parallel()
	real, ours := sqld.ForTest(t, sqld.Options{}), NewServer(t, Options{})
	encodings := []hrana.Encoding{hrana.JSON, hrana.Protobuf}
	var told [4][]string
	var wg sync.WaitGroup
	for i := range told {
		wg.Go(func() {
			k := &talk{t: t, url: real.URL(), encoding: encodings[i/2], version: 3, batons: map[string]string{}}
			if i%2 == 1 {
				k.url = ours.URL()
			}
			// Two encodings at once in one database, each with its own table.
			k.table = []string{"tj", "tp"}[i/2]
			defer k.end()
			told[i] = play(k)
		})
	}
	wg.Wait()
	for i, encoding := range encodings {
		want, got := strings.Join(told[2*i], "\n"), strings.Join(told[2*i+1], "\n")
		if want != got {
			t.Errorf("in %s:\n%s", encoding, difference(want, got))
		}
	}
}

// tell says several things one after the other.
func (k *talk) tell(says ...exchange) (told []string) {
	for _, e := range says {
		if k.table != "" {
			e.body = strings.ReplaceAll(e.body, "TABLE", k.table)
		}
		told = append(told, k.say(e)...)
	}
	return told
}

func TestConformanceExpiry(t *testing.T) {
	both(t, func(k *talk) []string {
		told := k.tell(executes(`create table TABLE(a)`), pipeline(`{"type":"close"}`),
			pipeline(`{"type":"store_sql","sql_id":1,"sql":"select 1"}`, execute(`pragma foreign_keys=off`), execute(`begin`), execute(`select * from TABLE`)),
			executes(`select 1`).on("kept"))
		used := k.batons["a"]
		time.Sleep(6 * time.Second)
		told = append(told, k.tell(executes(`select 2`).on("kept"))...)
		time.Sleep(5500 * time.Millisecond) // in all 11.5 s for one, half of it for the other
		told = append(told, k.tell(executes(`select 3`).on("kept"))...)
		told = append(told, k.tell(executes(`select 1`))...)
		k.batons["a"] = used
		told = append(told, k.tell(executes(`select 1`), cursor(stepOf(`select 1`)), pipeline(`{"type":"close"}`))...)
		return told
	})
}

func TestConformanceTransactionTimeout(t *testing.T) {
	for name, after := range map[string][]exchange{
		"execute":    {executes(`insert into TABLE values(2)`), executes(`insert into TABLE values(3)`), executes(`commit`)},
		"pipeline":   {executes(`insert into TABLE values(2)`, `insert into TABLE values(3)`, `rollback`)},
		"autocommit": {pipeline(`{"type":"get_autocommit"}`, execute(`select 1`), `{"type":"get_autocommit"}`, execute(`select 2`))},
		"batch": {
			pipeline(batch(stepOf(`insert into TABLE values(2)`, `{"type":"not","cond":{"type":"is_autocommit"}}`), stepOf(`insert into TABLE values(3)`, `{"type":"not","cond":{"type":"is_autocommit"}}`), stepOf(`insert into TABLE values(4)`, `{"type":"ok","step":0}`), stepOf(`insert into TABLE values(5)`))),
			pipeline(batch(stepOf(`insert into TABLE values(6)`, `{"type":"not","cond":{"type":"is_autocommit"}}`), stepOf(`insert into TABLE values(7)`))),
		},
		"cursor":   {cursor(stepOf(`select 1`), stepOf(`select 2`, `{"type":"ok","step":0}`), stepOf(`select 3`, `{"type":"error","step":0}`)), cursor(stepOf(`select 1`))},
		"sequence": {pipeline(`{"type":"sequence","sql":"insert into TABLE values(2); insert into TABLE values(3)"}`, `{"type":"sequence","sql":"insert into TABLE values(4)"}`)},
		"describe": {pipeline(`{"type":"describe","sql":"select 1"}`, `{"type":"store_sql","sql_id":1,"sql":"select 1"}`, execute(`selec`), execute(`select 1`))},
		"close":    {pipeline(`{"type":"close"}`)},
		"nothing":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			real, ours := sqld.ForTest(t, sqld.Options{}), NewServer(t, Options{})
			var told [2][]string
			var wg sync.WaitGroup
			for i, url := range []string{real.URL(), ours.URL()} {
				wg.Go(func() {
					k := &talk{t: t, url: url, version: 3, batons: map[string]string{}, table: "t"}
					defer k.end()
					told[i] = k.tell(executes(`create table TABLE(a)`), executes(`begin`, `insert into TABLE values(1)`), executes(`select 1`).on("other"))
					time.Sleep(5100 * time.Millisecond)
					// It is old, but nobody has waited.
					told[i] = append(told[i], k.tell(executes(`insert into TABLE values(10)`), executes(`insert into TABLE values(11)`).on("other"))...)
					told[i] = append(told[i], k.tell(after...)...)
					told[i] = append(told[i], k.tell(executes(`select * from TABLE`).on("other"))...)
				})
			}
			wg.Wait()
			if want, got := strings.Join(told[0], "\n"), strings.Join(told[1], "\n"); want != got {
				t.Error(difference(want, got))
			}
		})
	}
}

func TestConformanceTooManyStreams(t *testing.T) {
	t.Parallel()
	real, ours := sqld.ForTest(t, sqld.Options{}), NewServer(t, Options{})
	var told [2][]string
	var wg sync.WaitGroup
	for i, url := range []string{real.URL(), ours.URL()} {
		wg.Go(func() {
			k := &talk{t: t, url: url, version: 3, batons: map[string]string{}}
			defer k.end()
			for n := range DefaultMaxStreams {
				told[i] = k.tell(executes(`select 1`).on(itoa(n)))
			}
			told[i] = append(told[i], k.tell(executes(`select 1`).on("more"), cursor(stepOf(`select 1`)).on("more"), executes(`select 1`).on("7"), pipeline(`{"type":"close"}`).on("7"), executes(`select 1`).on("more"))...)
		})
	}
	wg.Wait()
	if want, got := strings.Join(told[0], "\n"), strings.Join(told[1], "\n"); want != got {
		t.Error(difference(want, got))
	}
}
