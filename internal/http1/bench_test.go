package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"testing"
)

// answerFast answers requests of a known length without allocating.
func answerFast(length int) script {
	return func(conn net.Conn, r *bufio.Reader) {
		answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 200\r\nDate: Mon, 02 Nov 2026 15:04:05 GMT\r\n\r\n")
		answer = append(answer, bytes.Repeat([]byte{'x'}, 200)...)
		for {
			if _, err := r.Discard(length); err != nil {
				return
			}
			conn.Write(answer)
		}
	}
}

// roundTrips returns a function that makes one round trip of a small request.
func roundTrips(tb testing.TB) func(ctx context.Context) {
	req := post("SELECT 1")
	to := serve(tb, answerFast(len(req.Head)+len("Content-Length: 8\r\n\r\n")+len(req.Body)))
	p := newPool(tb, nil)
	buf := make([]byte, 4096)
	return func(ctx context.Context) {
		resp, _, err := p.Do(ctx, to, req)
		if err != nil {
			tb.Fatal(err)
		}
		for err == nil {
			_, err = resp.Read(buf)
		}
		if err != io.EOF {
			tb.Fatal(err)
		}
		resp.Close()
	}
}

// BenchmarkDo is one round trip on loopback. Its floor is a write and a read on
// a socket, which hranahttp's BenchmarkFloorSocket measures; beside it stands
// BenchmarkFloorNetHTTP.
func BenchmarkDo(b *testing.B) {
	once := roundTrips(b)
	b.Run("background", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			once(context.Background())
		}
	})
	b.Run("cancellable", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			once(ctx)
		}
	})
}

func TestRoundTripAllocatesOneResponse(t *testing.T) {
	once := roundTrips(t)
	if n := testing.AllocsPerRun(200, func() { once(context.Background()) }); n > 1 {
		t.Errorf("%v allocations for a round trip, want 1", n)
	}
}
