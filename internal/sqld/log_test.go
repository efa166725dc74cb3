package sqld

import (
	"strings"
	"testing"
)

func TestTailLogKeepsTheEnd(t *testing.T) {
	var l tailLog
	chunk := []byte(strings.Repeat("x", 1000) + "\n")
	for range 5 * logLimit / len(chunk) {
		if n, err := l.Write(chunk); n != len(chunk) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.Write([]byte("the end"))
	text := l.String()
	if !strings.HasSuffix(text, "the end") {
		t.Error("the end is gone")
	}
	if len(text) < logLimit || len(text) > 2*logLimit+len(chunk) {
		t.Errorf("%d bytes are kept", len(text))
	}
	if got := l.tail(3); got != "end" {
		t.Errorf("tail(3) = %q", got)
	}
}

func TestWatcherReadsLinesInPieces(t *testing.T) {
	p := new(process)
	w := &watcher{next: new(tailLog), process: p}
	for _, piece := range []string{"INFO sqld: listening for incoming ", "user HTTP connection on 127.0.0.1:1\nError: Addr", "ess already in use"} {
		w.Write([]byte(piece))
	}
	if !p.listening.Load() {
		t.Error("the line that says the port is held was missed")
	}
	if p.portTaken.Load() {
		t.Error("a line that is not complete was read")
	}
	w.Write([]byte(" (os error 98)\n"))
	if !p.portTaken.Load() {
		t.Error("the line that says a port is taken was missed")
	}
}
