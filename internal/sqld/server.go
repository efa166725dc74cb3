package sqld

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// startLimit bounds one start. It is far above the 100 ms that a start
	// takes, because test machines stall.
	startLimit = 30 * time.Second
	// stopGrace is how long a server may take to end by itself.
	stopGrace = 5 * time.Second
	// portTries is how often Start takes new ports after losing one of them.
	portTries = 5
	// pollEvery is the pause between two looks at a starting server.
	pollEvery = 5 * time.Millisecond
)

// Options say how a server is run. The zero value is a primary without
// authentication that keeps its data in a temporary folder.
type Options struct {
	// Path is the binary; empty means the one that Find finds.
	Path string
	// Dir keeps the databases and outlives the Server. Empty means a temporary
	// folder that Stop removes.
	Dir string
	// Replicated has the server listen for replicas.
	Replicated bool
	// Primary makes the server a replica of that one, which must be Replicated
	// and running.
	Primary *Server
	// PrimaryAddr is where the replica finds its primary's ReplicationAddr, host:port,
	// if something stands between them; empty means there.
	PrimaryAddr string
	// JWTKeyFile holds the Ed25519 public key that tokens are checked against;
	// empty means that none are asked for.
	JWTKeyFile string
	// Admin opens the admin API, which also serves /metrics.
	Admin bool
	// Args are handed to the binary after all others.
	Args []string
}

// A Server is an sqld process and what is needed to start it again. Its methods
// may be called by any number of goroutines at once.
type Server struct {
	opts              Options
	temporary         bool
	http, grpc, admin string
	log               tailLog
	mu                sync.Mutex
	process           *process
}

// errPortTaken says that another program won a port between the look and the
// start.
var errPortTaken = errors.New("port already in use")

// Start runs a server and returns once it answers. The caller ends it with
// Stop.
func Start(opts Options) (*Server, error) { return start(opts, freePort) }

// start takes ports from port until it has some that no other program wins
// before the server does.
func start(opts Options, port func() (string, error)) (*Server, error) {
	if opts.Path == "" {
		path, err := Find()
		if err != nil {
			return nil, err
		}
		opts.Path = path
	}
	if opts.Primary != nil && opts.Primary.grpc == "" {
		return nil, errors.New("sqld: the primary was started without Replicated")
	}
	s := &Server{opts: opts}
	if opts.Dir == "" {
		dir, err := os.MkdirTemp("", "sqld-")
		if err != nil {
			return nil, fmt.Errorf("sqld: %w", err)
		}
		s.opts.Dir, s.temporary = dir, true
	}
	var err error
	for range portTries {
		if err = s.takePorts(port); err != nil {
			break
		}
		if err = s.run(); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.removeDir())
	}
	return s, nil
}

func (s *Server) takePorts(port func() (string, error)) error {
	var err error
	if s.http, err = port(); err != nil {
		return err
	}
	if s.opts.Replicated {
		if s.grpc, err = port(); err != nil {
			return err
		}
	}
	if s.opts.Admin {
		if s.admin, err = port(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) args() []string {
	args := []string{"--db-path", s.opts.Dir, "--http-listen-addr", s.http, "--no-welcome"}
	if s.grpc != "" {
		args = append(args, "--grpc-listen-addr", s.grpc)
	}
	if p := s.opts.Primary; p != nil {
		addr := p.grpc
		if s.opts.PrimaryAddr != "" {
			addr = s.opts.PrimaryAddr
		}
		args = append(args, "--primary-grpc-url", "http://"+addr, "--http-primary-url", p.URL())
	}
	if s.opts.JWTKeyFile != "" {
		args = append(args, "--auth-jwt-key-file", s.opts.JWTKeyFile)
	}
	if s.admin != "" {
		args = append(args, "--admin-listen-addr", s.admin)
	}
	return append(args, s.opts.Args...)
}

// run starts the process on the ports that s has and waits until it answers.
// A process that does not come up is ended again.
func (s *Server) run() error {
	p, err := launch(s.opts.Path, s.args(), &s.log)
	if err != nil {
		return fmt.Errorf("sqld: %w", err)
	}
	if err := s.await(p); err != nil {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if p.portTaken.Load() {
			err = errPortTaken
		}
		return fmt.Errorf("sqld: start on %s: %w; its log ends with:\n%s", s.http, err, s.log.tail(8000))
	}
	s.process = p
	return nil
}

func (s *Server) await(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	// Its own transport, closed at once: no idle connection may outlive the
	// wait, or tests that count goroutines would find it.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	urls := []string{s.URL() + "/health"}
	if s.admin != "" {
		urls = append(urls, s.AdminURL()+"/")
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for len(urls) > 0 {
		if p.listening.Load() && answers(ctx, client, urls[0]) {
			urls = urls[1:]
			continue
		}
		select {
		case <-p.exited:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("no answer within %s", startLimit)
		case <-tick.C:
		}
	}
	return nil
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// URL is where the server speaks Hrana, http://127.0.0.1:port without a slash at
// the end. It stays the same across restarts.
func (s *Server) URL() string { return "http://" + s.http }

// ReplicationAddr is where the server listens for replicas, host:port; empty if
// Options did not ask for it.
func (s *Server) ReplicationAddr() string { return s.grpc }

// AdminURL is where the admin API is, empty if Options did not ask for it.
func (s *Server) AdminURL() string {
	if s.admin == "" {
		return ""
	}
	return "http://" + s.admin
}

// Dir is the folder that holds the server's data.
func (s *Server) Dir() string { return s.opts.Dir }

// Log is the end of what the server has written, at least the last MiB of it,
// over all its runs.
func (s *Server) Log() string { return s.log.String() }

// Kill ends the process with no chance to tidy up, as a power cut would, and
// returns when it is gone. It does nothing if the server is not running.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
}

func (s *Server) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.cmd.Process.Kill()
	<-s.process.exited
	s.process = nil
}

// Restart starts the server again on the same ports and data, and returns once
// it answers; a server that still runs is killed first.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kill()
	return s.run()
}

// Stop lets the server end by itself, kills it if it has not within five
// seconds, and removes the data if they are in a temporary folder. The error is
// about that folder. A second Stop does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.process; p != nil {
		// Where the signal does not exist the kill below is all there is.
		p.end()
		s.kill()
	}
	return s.removeDir()
}

// end asks the process to end by itself and waits for that, for a while. sqld may
// notice a signal that comes soon after its start and then forget it, so it is sent
// again.
func (p *process) end() {
	grace, again := time.NewTimer(stopGrace), time.NewTicker(stopGrace/10)
	defer grace.Stop()
	defer again.Stop()
	for p.cmd.Process.Signal(syscall.SIGTERM) == nil {
		select {
		case <-p.exited:
			return
		case <-grace.C:
			return
		case <-again.C:
		}
	}
}

func (s *Server) removeDir() error {
	if !s.temporary {
		return nil
	}
	return os.RemoveAll(s.opts.Dir)
}
