package netem

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets, and ends when the test does.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() { io.Copy(c, c); c.Close() })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

func start(t *testing.T, target string, c Conditions) *Proxy {
	t.Helper()
	p, err := Start(target, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func roundTrip(t *testing.T, c net.Conn, msg string) time.Duration {
	t.Helper()
	begin := time.Now()
	if _, err := io.WriteString(c, msg); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if string(got) != msg {
		t.Fatalf("got %q, want %q", got, msg)
	}
	return time.Since(begin)
}

// silent fails unless nothing comes for a while: there is no event to wait for.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want neither bytes nor an end", n, err)
	}
}

func TestRTTAndSetUp(t *testing.T) {
	const rtt = 40 * time.Millisecond
	p := start(t, echo(t), Conditions{RTT: rtt})
	c := dial(t, p)
	if d := roundTrip(t, c, "first"); d < 2*rtt-5*time.Millisecond {
		t.Errorf("first round trip took %v, want the handshake's too: %v", d, 2*rtt)
	}
	least := time.Hour
	for range 10 {
		least = min(least, roundTrip(t, c, "again"))
	}
	// The upper bound is on the best of ten: it fails if the handshake is charged
	// again, not if the machine is busy.
	if least < rtt || least >= 2*rtt {
		t.Errorf("best later round trip took %v, want %v", least, rtt)
	}
	p.Set(Conditions{})
	least = time.Hour
	for range 10 {
		least = min(least, roundTrip(t, c, "fast"))
	}
	if least >= rtt {
		t.Errorf("without a delay the best round trip still took %v", least)
	}
}

func TestDelayDoesNotLimitThroughput(t *testing.T) {
	const rtt, messages = 100 * time.Millisecond, 200
	p := start(t, echo(t), Conditions{RTT: rtt})
	c := dial(t, p)
	begin := time.Now()
	go func() {
		for range messages {
			io.WriteString(c, "x")
			time.Sleep(time.Millisecond) // so that they do not share a segment
		}
	}()
	if _, err := io.ReadFull(c, make([]byte, messages)); err != nil {
		t.Fatal(err)
	}
	if d, serial := time.Since(begin), messages*rtt; d > serial/4 {
		t.Errorf("%d pipelined messages took %v; one after the other would be %v", messages, d, serial)
	}
}

func TestBandwidthIsSharedAndPerDirection(t *testing.T) {
	const size, rate = 256 << 10, 1 << 20
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	transfer := func(t *testing.T, cond Conditions, conns int) time.Duration {
		p := start(t, echo(t), cond)
		begin := time.Now()
		var wg sync.WaitGroup
		for range conns {
			c := dial(t, p)
			wg.Go(func() { c.Write(data) })
			wg.Go(func() {
				h := sha256.New()
				if _, err := io.CopyN(h, c, size); err != nil {
					t.Error(err)
				} else if !bytes.Equal(h.Sum(nil), sum(data)) {
					t.Error("the bytes came back changed")
				}
			})
		}
		wg.Wait()
		return time.Since(begin)
	}
	least := time.Second * size / rate
	for name, cond := range map[string]Conditions{
		"up":   {UpBytesPerSecond: rate},
		"down": {DownBytesPerSecond: rate},
	} {
		t.Run(name, func(t *testing.T) {
			if d := transfer(t, cond, 1); d < least {
				t.Errorf("one connection: %v, want at least %v", d, least)
			}
			if d := transfer(t, cond, 2); d < 2*least {
				t.Errorf("two connections: %v, want at least %v", d, 2*least)
			}
		})
	}
}

func TestIdleDrop(t *testing.T) {
	p := start(t, echo(t), Conditions{IdleDrop: 30 * time.Millisecond})
	c := dial(t, p)
	roundTrip(t, c, "alive")
	time.Sleep(60 * time.Millisecond) // the idle time itself
	if _, err := io.WriteString(c, "lost"); err != nil {
		t.Fatalf("writing must still seem to work: %v", err)
	}
	silent(t, c)
	roundTrip(t, dial(t, p), "a new connection works")
}

func TestDropAndHalfOpen(t *testing.T) {
	for name, lose := range map[string]func(*Proxy) int{"drop": (*Proxy).Drop, "half-open": (*Proxy).HalfOpen} {
		t.Run(name, func(t *testing.T) {
			p := start(t, echo(t), Conditions{})
			c := dial(t, p)
			roundTrip(t, c, "alive")
			if n := lose(p); n != 1 {
				t.Fatalf("%d connections lost, want 1", n)
			}
			if _, err := io.WriteString(c, "lost"); err != nil {
				t.Fatal(err)
			}
			silent(t, c)
			roundTrip(t, dial(t, p), "new")
		})
	}
}

func TestReset(t *testing.T) {
	p := start(t, echo(t), Conditions{})
	c := dial(t, p)
	roundTrip(t, c, "alive")
	if n := p.Reset(); n != 1 {
		t.Fatalf("%d connections reset, want 1", n)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read: %v, want a reset", err)
	}
}

func TestRefuse(t *testing.T) {
	p := start(t, echo(t), Conditions{Refuse: true})
	c, err := net.Dial("tcp", p.Addr())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%v, want a reset", err)
	}
	p.Set(Conditions{})
	roundTrip(t, dial(t, p), "welcome")
	if n := p.Counts().Conns; n != 2 {
		t.Errorf("%d connections counted, want 2", n)
	}
}

func TestTruncate(t *testing.T) {
	p := start(t, echo(t), Conditions{})
	c := dial(t, p)
	p.Truncate(7)
	io.WriteString(c, "0123456789")
	got, err := io.ReadAll(c)
	if string(got) != "0123456" || err != nil {
		t.Fatalf("%q, %v; want the first seven bytes and an end", got, err)
	}
	roundTrip(t, dial(t, p), "only once: 0123456789")
}

func TestPauseLosesNothing(t *testing.T) {
	p := start(t, echo(t), Conditions{})
	c := dial(t, p)
	roundTrip(t, c, "alive")
	p.Set(Conditions{Paused: true})
	io.WriteString(c, "held")
	silent(t, c)
	p.Set(Conditions{})
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, 4)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "held" {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestEndTravelsBothWays(t *testing.T) {
	p := start(t, echo(t), Conditions{RTT: 10 * time.Millisecond})
	c := dial(t, p)
	io.WriteString(c, "last words")
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "last words" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestServerAbsent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	// The reset may come before the client knows that it is connected.
	c, err := net.Dial("tcp", start(t, l.Addr().String(), Conditions{}).Addr())
	if err == nil {
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err = c.Read(make([]byte, 1))
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%v, want a reset", err)
	}
}

func TestCloseEndsAll(t *testing.T) {
	p, err := Start(echo(t), Conditions{RTT: time.Hour, Paused: true})
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	io.WriteString(c, "never arrives")
	p.Close()
	p.Close()
	if n := p.Counts().Open; n != 0 {
		t.Errorf("%d connections open after Close", n)
	}
}

func TestCountsOfHTTP(t *testing.T) {
	var served int64
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		served++
		mu.Unlock()
		// In full before answering: an HTTP/1 server stops reading when it answers.
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}))
	defer s.Close()
	p := start(t, s.Listener.Addr().String(), Conditions{})
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	// A body that looks like a request must not count as one.
	body := strings.Repeat("GET / HTTP/1.1\r\n\r\n", 4000)
	for i := range 10 {
		var r io.Reader = strings.NewReader(body)
		if i%2 == 0 {
			r = io.MultiReader(r) // of unknown length: chunked
		}
		resp, err := client.Post(p.URL(), "text/plain", r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != body {
			t.Fatal("the body came back changed")
		}
	}
	c := p.Counts()
	if c.Requests != served || served != 10 || c.Conns != 1 {
		t.Errorf("counted %d requests and %d connections; served %d on 1", c.Requests, c.Conns, served)
	}
	if least := int64(10 * len(body)); c.BytesUp < least || c.BytesDown < least {
		t.Errorf("counted %d bytes up and %d down, want at least %d", c.BytesUp, c.BytesDown, least)
	}
}

func TestWarmProxyDoesNotAllocate(t *testing.T) {
	p := start(t, echo(t), Conditions{RTT: time.Millisecond})
	c := dial(t, p)
	msg, got := []byte("message"), make([]byte, 7)
	n := testing.AllocsPerRun(200, func() {
		c.Write(msg)
		io.ReadFull(c, got)
	})
	if n > 1 {
		t.Errorf("%.1f allocations for each round trip", n)
	}
}

func sum(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
