package hranahttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/exec"
)

// An outage is a network that leads to a server that may be down.
type outage struct {
	*network
	client *Client
	tries  atomic.Int32 // to dial
	astray atomic.Bool  // what is dialled
	how    atomic.Pointer[behaviour]
}

// A behaviour may answer in the server's place, and then reports true.
type behaviour func(w http.ResponseWriter, r *http.Request) bool

// behave changes how the server behaves; nil for well.
func (o *outage) behave(how behaviour) { o.how.Store(&how) }

// inOutage runs a test in a bubble.
func inOutage(t *testing.T, k KeepAlive, test func(t *testing.T, o *outage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &outage{network: newNetwork()}
		o.before = func(w http.ResponseWriter, r *http.Request) bool {
			how := o.how.Load()
			return how != nil && *how != nil && (*how)(w, r)
		}
		o.client = newTestClient(t, "http://db.test", func(cfg *Config) {
			cfg.KeepAlive, cfg.Encoding, cfg.Circuit, cfg.ConnectTimeout = k, OnlyProtobuf, true, 10*time.Second
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				o.tries.Add(1)
				if o.astray.Load() {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return o.dial(ctx, network, addr)
			}
		})
		test(t, o)
		if err := o.client.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait() // a dial that nobody waits for ends too
		o.server.Close()
		<-o.served
	})
}

// goDown stops the server: connections break, and dialling fails.
func (o *outage) goDown() {
	o.down.Store(true)
	o.behave(func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) })
}

// vanish has the server, or the way to it, say nothing any more.
func (o *outage) vanish() {
	o.astray.Store(true)
	o.behave(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
}

func (o *outage) comeBack() {
	o.astray.Store(false)
	o.behave(nil)
	o.down.Store(false)
}

// query makes one request.
func (o *outage) query(ctx context.Context) *exec.Error {
	_, err := o.client.Pipeline(ctx, o.client.Home(), o.client.Level(), query("SELECT 1"), Expect{})
	if err == nil {
		return nil
	}
	return err.(*exec.Error)
}

// isStatement tells a query from a ping, which has next to nothing in it.
func isStatement(r *http.Request) bool { return r.ContentLength > 8 }

// isRefused tells whether a request has failed without having been sent.
func isRefused(e *exec.Error) bool {
	return e != nil && e.Code == exec.CodeUnavailable && e.Proof == exec.NotExecuted && !e.StreamLost && e.Source == exec.FromClient
}

// open has requests fail until nothing more is sent.
func (o *outage) open(t *testing.T) {
	t.Helper()
	for i := range downAfter {
		if e := o.query(t.Context()); e == nil || isRefused(e) {
			t.Fatalf("request %d: %v", i, e)
		}
	}
	time.Sleep(time.Second) // the ping dials, and fails
	if c := o.client.Circuit(); !c.Open || c.Opened != 1 {
		t.Fatalf("%+v", c)
	}
}

// While a server is down requests fail at once and nothing is sent but pings; it
// is back within one interval of the keeper's, and at most lastProbe.
func TestCircuit(t *testing.T) {
	for name, k := range map[string]KeepAlive{
		"pings": auto, "quick pings": {Interval: time.Second, Warm: 1, Timeout: 5 * time.Second},
		"slow pings": {Interval: time.Minute, Warm: 1, Timeout: 5 * time.Second}, "no pings": {Timeout: 5 * time.Second},
	} {
		for _, down := range []time.Duration{2 * time.Second, 30 * time.Second, 4 * time.Minute} {
			t.Run(name+" "+down.String(), func(t *testing.T) {
				inOutage(t, k, func(t *testing.T, o *outage) {
					ask(t, o.client)
					o.goDown()
					o.open(t)
					dials, began := o.tries.Load(), time.Now()
					for time.Since(began) < down {
						now := time.Now()
						e := o.query(t.Context())
						if !isRefused(e) || !strings.Contains(e.Error(), "unreachable") || time.Since(now) != 0 {
							t.Fatalf("%v after %v", e, time.Since(now))
						}
						time.Sleep(10 * time.Millisecond)
					}
					interval := min(o.client.keeper.interval(), lastProbe)
					// The mean wait is half of the range, once it has grown, and the keeper
					// dials for itself.
					if n, most := int(o.tries.Load()-dials), 10+int(8*down/interval); n > most {
						t.Errorf("%d dials in %v, want at most %d", n, down, most)
					}
					if c := o.client.Circuit(); c.Refused < uint64(down/(10*time.Millisecond)) || c.Probes < 2 {
						t.Errorf("%+v", c)
					}
					o.comeBack()
					// A ping that is under way takes 100 ms to fail.
					time.Sleep(interval + 200*time.Millisecond)
					if c := o.client.Circuit(); c.Open || c.Opened != 1 {
						t.Errorf("it is back, and %+v", c)
					}
					ask(t, o.client)
				})
			})
		}
	}
}

// A proxy without a server behind it is as good as none. What it asks for is
// honoured as far as the server's return is seen in time all the same.
func TestCircuitOfAProxy(t *testing.T) {
	for _, status := range []int{502, 503, 504} {
		inOutage(t, auto, func(t *testing.T, o *outage) {
			ask(t, o.client)
			o.behave(func(w http.ResponseWriter, r *http.Request) bool {
				w.Header().Set("Retry-After", "20")
				w.WriteHeader(status)
				return true
			})
			o.open(t)
			if e := o.query(t.Context()); !isRefused(e) || e.Status != status {
				t.Errorf("%d: %v", status, e)
			}
			probes := o.client.Circuit().Probes
			time.Sleep(40 * time.Second)
			if n := o.client.Circuit().Probes - probes; n > 8 || n < 5 {
				t.Errorf("%d: %d pings in 40 s", status, n)
			}
			o.behave(nil)
			time.Sleep(lastProbe + 200*time.Millisecond)
			ask(t, o.client)
		})
	}
}

// Nothing of this says that a server is down.
func TestCircuitStaysClosed(t *testing.T) {
	answer := func(status int) func(t *testing.T, o *outage) {
		return func(t *testing.T, o *outage) {
			o.behave(func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(status)
				return true
			})
			o.query(t.Context())
		}
	}
	for name, fail := range map[string]func(t *testing.T, o *outage){
		"400": answer(400), "401": answer(401), "404": answer(404), "429": answer(429), "500": answer(500),
		"contexts that end": func(t *testing.T, o *outage) {
			o.behave(func(w http.ResponseWriter, r *http.Request) bool {
				if isStatement(r) {
					<-r.Context().Done()
				}
				return isStatement(r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if e := o.query(ctx); !errors.Is(e, context.DeadlineExceeded) {
				t.Fatal(e)
			}
		},
		"contexts that end while dialling": func(t *testing.T, o *outage) {
			o.client.transport.pool.Suspect(&o.client.home.place.target, 0)
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			o.query(ctx)
			time.Sleep(time.Second)
		},
		// The ping, which has no statement, is answered.
		"a statement that breaks its connection": func(t *testing.T, o *outage) {
			o.behave(func(w http.ResponseWriter, r *http.Request) bool {
				if isStatement(r) {
					panic(http.ErrAbortHandler)
				}
				return false
			})
			o.query(t.Context())
		},
		"a statement that is too slow for a gateway": func(t *testing.T, o *outage) {
			o.behave(func(w http.ResponseWriter, r *http.Request) bool {
				if isStatement(r) {
					w.WriteHeader(504)
				}
				return isStatement(r)
			})
			o.query(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			inOutage(t, KeepAlive{Timeout: 5 * time.Second}, func(t *testing.T, o *outage) {
				ask(t, o.client)
				for range 10 * downAfter {
					fail(t, o)
					synctest.Wait()
					if c := o.client.Circuit(); c.Open || c.Opened != 0 || c.Refused != 0 {
						t.Fatalf("%+v", c)
					}
				}
				o.behave(nil)
				time.Sleep(time.Minute)
				ask(t, o.client)
			})
		})
	}
}

// A server that nobody wants is not pinged for ever; whoever comes then is let
// through, and finds it down again.
func TestCircuitIsForgotten(t *testing.T) {
	inOutage(t, auto, func(t *testing.T, o *outage) {
		ask(t, o.client)
		o.goDown()
		o.open(t)
		time.Sleep(2 * auto.IdleStop)
		c, dials := o.client.Circuit(), o.tries.Load()
		if c.Open {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Hour)
		if got := o.client.Circuit(); got.Probes != c.Probes || o.tries.Load() != dials {
			t.Errorf("%d pings, %d dials for nobody", got.Probes-c.Probes, o.tries.Load()-dials)
		}
		if e := o.query(t.Context()); e == nil || isRefused(e) {
			t.Errorf("%v", e)
		}
		time.Sleep(time.Second)
		if e := o.query(t.Context()); !isRefused(e) {
			t.Errorf("%v", e)
		}
	})
}

// Many callers at once are refused all alike, and nothing is left when the client
// is closed meanwhile.
func TestCircuitClosesWithItsClient(t *testing.T) {
	for _, after := range []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond, 10 * time.Second} {
		inOutage(t, auto, func(t *testing.T, o *outage) {
			ask(t, o.client)
			o.goDown()
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() {
					for o.client.Circuit().Refused < 500 {
						if e := o.query(context.Background()); e == nil || e.Code == exec.CodeClosed {
							return
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
			time.Sleep(after)
			if err := o.client.Close(); err != nil {
				t.Error(err)
			}
			all.Wait()
		})
	}
}

// Without the option every request is sent.
func TestCircuitOff(t *testing.T) {
	inOutage(t, auto, func(t *testing.T, o *outage) {
		o.client.circuit.off = true
		ask(t, o.client)
		o.goDown()
		for range 4 * downAfter {
			if e := o.query(t.Context()); e == nil || isRefused(e) {
				t.Fatal(e)
			}
		}
		if c := o.client.Circuit(); c != (CircuitCounters{}) {
			t.Errorf("%+v", c)
		}
	})
}

// A black hole answers nothing, not even that it is not there. Callers with little
// time, who never see anything fail, are enough to find out; so are the keeper's
// pings, before anybody comes. Who waits for a connection meanwhile is told.
func TestCircuitOfABlackHole(t *testing.T) {
	for name, k := range map[string]KeepAlive{"pings": auto, "no pings": {Timeout: 5 * time.Second}} {
		for _, idle := range []bool{false, true} {
			if idle && !k.pings() {
				continue
			}
			t.Run(fmt.Sprintf("%s, idle %v", name, idle), func(t *testing.T) {
				inOutage(t, k, func(t *testing.T, o *outage) {
					ask(t, o.client)
					o.vanish()
					began := time.Now()
					waits := make(chan *exec.Error, 1)
					if !idle {
						go func() {
							time.Sleep(time.Second)
							waits <- o.query(context.Background())
						}()
					}
					for !o.client.Circuit().Open {
						within := silence + k.Timeout + time.Second
						if idle {
							// A ping is due and fails, so does dialling, so does another ping.
							within = firstPing + k.Timeout + 10*time.Second + k.Timeout
						}
						if time.Since(began) > within {
							t.Fatal("it is not seen")
						}
						if idle {
							time.Sleep(100 * time.Millisecond)
							continue
						}
						ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
						if e := o.query(ctx); !isRefused(e) && !errors.Is(e, context.DeadlineExceeded) {
							t.Errorf("%v", e)
						}
						cancel()
					}
					if !idle {
						synctest.Wait()
						select {
						case e := <-waits:
							if !isRefused(e) {
								t.Errorf("who waits for a connection: %v", e)
							}
						default:
							t.Error("who waits for a connection still does")
							o.comeBack()
							<-waits
						}
					}
					now := time.Now()
					if e := o.query(t.Context()); !isRefused(e) || time.Since(now) != 0 {
						t.Errorf("%v after %v", e, time.Since(now))
					}
					time.Sleep(20 * time.Second)
					o.comeBack()
					time.Sleep(lastProbe + 200*time.Millisecond)
					if c := o.client.Circuit(); c.Open || c.Opened != 1 {
						t.Errorf("it is back, and %+v", c)
					}
					ask(t, o.client)
				})
			})
		}
	}
}

// A query that takes its time, and others that come meanwhile and do too, are no
// outage: the ping is answered.
func TestCircuitStaysClosedOverSlowQueries(t *testing.T) {
	inOutage(t, KeepAlive{Timeout: 5 * time.Second}, func(t *testing.T, o *outage) {
		ask(t, o.client)
		o.behave(func(w http.ResponseWriter, r *http.Request) bool {
			if isStatement(r) {
				time.Sleep(time.Minute)
			}
			return false
		})
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if e := o.query(context.Background()); e != nil {
					t.Error(e)
				}
			})
			time.Sleep(time.Second)
		}
		all.Wait()
		if c := o.client.Circuit(); c.Opened != 0 || c.Refused != 0 || c.Probes == 0 {
			t.Errorf("%+v", c)
		}
	})
}

// A suspicion that an answer has cleared does not come true because its ping is
// lost.
func TestCircuitIsClearedByAnAnswer(t *testing.T) {
	inOutage(t, KeepAlive{Timeout: 5 * time.Second}, func(t *testing.T, o *outage) {
		ask(t, o.client)
		o.behave(func(w http.ResponseWriter, r *http.Request) bool {
			if isStatement(r) {
				panic(http.ErrAbortHandler)
			}
			<-r.Context().Done()
			return true
		})
		for range downAfter {
			o.query(t.Context())
		}
		synctest.Wait()
		if n := o.client.Circuit().Probes; n != 1 {
			t.Fatalf("%d pings", n)
		}
		o.behave(func(w http.ResponseWriter, r *http.Request) bool {
			if !isStatement(r) {
				<-r.Context().Done()
			}
			return false
		})
		ask(t, o.client)
		time.Sleep(time.Minute)
		if c := o.client.Circuit(); c.Opened != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// The ping that decides goes over a connection of its own, in whatever way the
// server is spoken to, and leaves one that works.
func TestPingAfresh(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		srv := hranatest.NewServer(t, hranatest.Options{})
		c := m.client(t, before(t, srv), nil)
		ask(t, c)
		dials := c.Counters().Dials
		for range 2 {
			// One that is being dialled already would do.
			await(t, func() bool { return c.transport.pool.Dialling(&c.home.place.target) == 0 })
			p, ok := c.newPing(5 * time.Second)
			if !ok {
				t.Fatal("no ping")
			}
			if status, _, err := p.afresh(); status != 200 || err != nil {
				t.Errorf("%d, %v", status, err)
			}
			ask(t, c)
		}
		// A connection that has answered beside meanwhile may serve before the dial ends.
		await(t, func() bool { return c.Counters().Dials-dials >= 2 })
	})
}
