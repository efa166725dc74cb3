package target

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A Command runs `turso-opt serve`. The server is to print its URL as the first
// line of its output and to end when its input does: so it ends with this
// process, however that ends.
type Command struct {
	Path string
	Args []string
	// Env is added to this process's environment.
	Env []string
}

const (
	// childStart bounds the time until a server prints its URL.
	childStart = 30 * time.Second
	// childStop is how long a server may take to end by itself.
	childStop = 5 * time.Second
)

func (c Command) start(ctx context.Context) (url string, stop func() error, err error) {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	var log tail
	cmd.Stderr = &log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, wrap("embedded server", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, wrap("embedded server", err)
	}
	if err := cmd.Start(); err != nil {
		return "", nil, wrap("embedded server", err)
	}
	first := make(chan string, 1)
	exited := make(chan error, 1)
	go func() {
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n') // what is missing shows in the line
		first <- strings.TrimSpace(line)
		_, _ = io.Copy(io.Discard, r) // until the server closes it by ending
		exited <- cmd.Wait()
	}()
	var once sync.Once
	var stopErr error
	stop = func() error {
		once.Do(func() {
			stdin.Close()
			grace := time.NewTimer(childStop)
			defer grace.Stop()
			select {
			case stopErr = <-exited:
			case <-grace.C:
				_ = cmd.Process.Kill()
				<-exited
				stopErr = errors.New("embedded server: did not end by itself and was killed")
			}
		})
		return stopErr
	}
	limit := time.NewTimer(childStart)
	defer limit.Stop()
	select {
	case url = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	case <-limit.C:
		err = errors.New("no answer within " + childStart.String())
	}
	if err == nil && !strings.HasPrefix(url, "http://") {
		err = errors.New("the server ended at once")
	}
	if err != nil {
		_ = stop() // the reason is err
		return "", nil, fmt.Errorf("embedded server: %w%s", err, log.quoted())
	}
	return url, stop, nil
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if n := len(t.buf) - tailSize; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(b), nil
}

func (t *tail) quoted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := bytes.TrimSpace(t.buf); len(text) > 0 {
		return "; it wrote:\n" + string(text)
	}
	return ""
}
