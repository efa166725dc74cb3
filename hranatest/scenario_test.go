package hranatest

import (
	"net/http"
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

// How large an answer may be is estimated; with a limit that is quickly reached
// the estimates must agree to the byte.
func TestConformanceLimits(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	real, ours := sqld.ForTest(t, sqld.Options{Args: []string{"--max-response-size", "10KB"}}), NewServer(t, Options{MaxResponse: limit})
	var says []exchange
	for _, sql := range []string{
		`select zeroblob(N)`, `select hex(zeroblob(N))`, `select substr(hex(zeroblob(9000)), 1, N) as "a long name", null, 1, -12345, 1.5`,
		`with recursive n(i) as (select 1 union all select i+1 from n where i < N) select i from n`,
		`with recursive n(i) as (select 1 union all select i+1 from n where i < N) select null from n`,
		`with recursive n(i) as (select 1 union all select i+1 from n where i < N) select i/8.0 from n`,
		`with recursive n(i) as (select 1 union all select i+1 from n where i < N) select i*-1000 from n`,
	} {
		// The largest N that passes, found in our server, is the largest in sqld.
		fits := largest(func(n int) bool {
			parts := newTalk(t, ours).say(pipeline(execute(strings.ReplaceAll(sql, "N", itoa(n))), `{"type":"close"}`))
			return !strings.Contains(parts[2], "RESPONSE_TOO_LARGE")
		})
		says = append(says, executes(strings.ReplaceAll(sql, "N", itoa(fits)), strings.ReplaceAll(sql, "N", itoa(fits+1))))
	}
	says = append(says,
		executes(`create table t(a)`, `begin`, `insert into t values(1)`),
		pipeline(batch(stepOf(`insert into t values(2)`), stepOf(`select zeroblob(4000)`), stepOf(`select zeroblob(4000)`), stepOf(`select zeroblob(4000)`), stepOf(`insert into t values(3)`)), `{"type":"get_autocommit"}`, execute(`select * from t`), execute(`rollback`)),
		pipeline(batch(stepOf(`select zeroblob(4900)`), stepOf(`select zeroblob(4900)`))),
		pipeline(`{"type":"sequence","sql":"select zeroblob(20000); insert into t values(4)"}`, execute(`select * from t`)),
		cursor(stepOf(`select zeroblob(4000)`), stepOf(`select zeroblob(4000)`), stepOf(`select zeroblob(4000)`)),
		executes(`select zeroblob(5000001)`, `select length(zeroblob(5000000))`),
	)
	conversation{says: says}.hold(t, &talk{t: t, url: real.URL(), version: 3, batons: map[string]string{}}, newTalk(t, ours))
}

// largest is the largest n for which fits holds.
func largest(fits func(n int) bool) int {
	low, high := 1, 20_000
	for low+1 < high {
		if mid := (low + high) / 2; fits(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

func TestConformanceDefaultLimits(t *testing.T) {
	t.Parallel()
	real, ours := sqld.ForTest(t, sqld.Options{}), NewServer(t, Options{})
	for sql, fits := range map[string]bool{`select zeroblob(4999000), zeroblob(5000000), 1`: true, `select zeroblob(4999990), zeroblob(5000000)`: false} {
		for _, url := range []string{real.URL(), ours.URL()} {
			a := send(http.MethodPost, url+"/v3/pipeline", bare(execute(sql), `{"type":"close"}`), nil)
			if a.status != http.StatusOK || a.err != nil || strings.Contains(a.body, "RESPONSE_TOO_LARGE") == fits {
				t.Errorf("%s at %s: %d %v %.100s", sql, url, a.status, a.err, a.body)
			}
		}
	}
}
