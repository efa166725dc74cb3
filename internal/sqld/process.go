package sqld

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
)

const (
	// bound is what sqld logs once it holds its HTTP port. An answer of /health
	// alone does not prove it: a stranger may have won the port.
	bound = "listening for incoming user HTTP connection"
	// taken is in what sqld writes before it ends because it could not have one
	// of its ports.
	taken = "Address already in use"
)

// process is one run of the binary.
type process struct {
	cmd *exec.Cmd
	// listening and portTaken are set when the log says so.
	listening, portTaken atomic.Bool
	// exited is closed when the process has ended and its log is complete.
	exited chan struct{}
}

// launch starts the binary, which writes its log to w.
func launch(path string, args []string, w io.Writer) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), exited: make(chan struct{})}
	// The log level may not follow the caller's RUST_LOG: its lines are read.
	p.cmd.Env = append(os.Environ(), "RUST_LOG=info", "NO_COLOR=1")
	out := &watcher{next: w, process: p}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error)
	go func() {
		// The kernel ties the child to the thread that started it, not to the
		// whole program, so this thread stays until the child has ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			// How it ended is of no interest: it was killed, or its log says why.
			_ = p.cmd.Wait()
			close(p.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// watcher reads the log for what it tells about the ports.
type watcher struct {
	next    io.Writer
	process *process
	// line is the line that is not complete yet.
	line []byte
}

func (w *watcher) Write(b []byte) (int, error) {
	w.line = append(w.line, b...)
	for {
		line, rest, complete := bytes.Cut(w.line, []byte("\n"))
		if !complete {
			break
		}
		if bytes.Contains(line, []byte(bound)) {
			w.process.listening.Store(true)
		}
		if bytes.Contains(line, []byte(taken)) {
			w.process.portTaken.Store(true)
		}
		w.line = rest
	}
	return w.next.Write(b)
}
