package tursoopt_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
	"github.com/turso-opt/turso-opt/internal/netem"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// newKey writes a public key for sqld to a file and gives a token that it accepts
// from then on.
func newKey(t *testing.T, file string) (token string) {
	t.Helper()
	return sqld.Token(sqld.NewKey(t, file), `{"a":"rw","exp":4000000000}`)
}

// A server restarts with another key, and many callers come at once with the token
// that it does not accept any more: the source is asked once, and nothing is lost or
// done twice. If it has no token that is accepted it is asked no more often than
// statements fail, and each is sent twice.
func TestTokenIsRotated(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	var token atomic.Value
	token.Store(newKey(t, file))
	var fetched atomic.Int32
	server := sqld.ForTest(t, sqld.Options{JWTKeyFile: file})
	e := &env{url: server.URL()}
	db := e.openConfig(t, func(cfg *tursoopt.Config) {
		cfg.KeepAlive = -1
		cfg.TokenSource = func(context.Context) (string, error) {
			fetched.Add(1)
			return token.Load().(string), nil
		}
	})
	mustExec(t, db, "CREATE TABLE t (a INTEGER)")
	const callers = 64
	together := func(f func(i int)) {
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() { f(i) })
		}
		all.Wait()
	}
	both := func(i int) {
		if i%2 == 0 {
			if _, err := db.Exec("INSERT INTO t VALUES (?)", i); err != nil {
				t.Error(err)
			}
		} else if err := db.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
			t.Error(err)
		}
	}
	together(both)
	asked := fetched.Load()
	token.Store(newKey(t, file))
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	together(both)
	if n := fetched.Load() - asked; n != 1 {
		t.Errorf("the source is asked %d times", n)
	}
	if n := queryInt(t, db, "SELECT count(*) FROM t"); n != callers {
		t.Errorf("%d rows, want %d", n, callers)
	}
	// From here on no token is right, and each is another.
	newKey(t, file)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	asked = fetched.Load()
	sent := stats(t, db).Requests.Sent
	together(func(i int) {
		token.Store("wrong" + time.Now().String())
		var failed *tursoopt.Error
		if err := db.QueryRow("SELECT count(*) FROM t").Scan(new(int)); !errors.As(err, &failed) || failed.HTTPStatus != 401 {
			t.Errorf("%v", err)
		}
	})
	if n, s := fetched.Load()-asked, stats(t, db).Requests.Sent-sent; n < 1 || n > callers || s > 2*callers {
		t.Errorf("the source is asked %d times, %d requests for %d callers", n, s, callers)
	}
}

// A database moves to another server, and its name leads there, while callers read
// and write: no read fails, no write that has not been sent, and each is done once,
// whether the old server is gone, or goes on and says that it is not there any more.
func TestServerIsMoved(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gone", "silent", "not found"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := t.TempDir() + "/test.db"
			from := hranatest.NewServer(t, hranatest.Options{Path: file})
			path, err := netem.Start(hostOf(t, from.URL()), netem.Conditions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(path.Close)
			var addr atomic.Value
			addr.Store(path.Addr())
			e := &env{url: "http://db.test"}
			db := e.openConfig(t, func(cfg *tursoopt.Config) {
				cfg.PingTimeout = 300 * time.Millisecond
				cfg.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
				}
			})
			mustExec(t, db, "CREATE TABLE t (a INTEGER)")
			queryInt(t, db, "SELECT count(*) FROM t")
			var written, unknown atomic.Int64
			stop := make(chan struct{})
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						switch _, err := db.Exec("INSERT INTO t VALUES (1)"); {
						case err == nil:
							written.Add(1)
						case tursoopt.OutcomeUnknown(err):
							unknown.Add(1) // it was on its way
						default:
							t.Errorf("write: %v", err)
						}
						if err := db.QueryRow("SELECT count(*) FROM t").Scan(new(int)); err != nil {
							t.Errorf("read: %v", err)
						}
					}
				})
			}
			await(t, "writes", func() bool { return written.Load() > 20 })
			to := hranatest.NewServer(t, hranatest.Options{Path: file})
			addr.Store(hostOf(t, to.URL()))
			switch name {
			case "gone":
				if err := from.Close(); err != nil {
					t.Fatal(err)
				}
				path.Close()
			case "silent":
				path.Drop()
			case "not found":
				from.Inject(-1, hranatest.Status(404, 0))
			}
			moved := written.Load()
			await(t, "writes on the new server", func() bool { return written.Load() > moved+20 })
			close(stop)
			all.Wait()
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n < written.Load() || n > written.Load()+unknown.Load() {
				t.Errorf("%d rows of %d writes and %d unknown", n, written.Load(), unknown.Load())
			}
			if unknown.Load() > 4 {
				t.Errorf("%d writes are unknown of four callers", unknown.Load())
			}
		})
	}
}

// On HTTP/2 a dead connection is left as well, with pings and without, by reads and
// by what the server has not had.
func TestDeadHTTP2ConnectionIsLeft(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"keepalive=0", "keepalive=auto"} {
		t.Run(params, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, nativeModes[0])
			front := httptest.NewUnstartedServer(e.relay(t))
			front.EnableHTTP2 = true
			front.StartTLS()
			t.Cleanup(front.Close)
			t.Cleanup(front.CloseClientConnections)
			path, err := netem.Start(front.Listener.Addr().String(), netem.Conditions{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(path.Close)
			roots := x509.NewCertPool()
			roots.AddCert(front.Certificate())
			e.url = "https://" + path.Addr()
			cfg, err := tursoopt.ParseDSN(e.dsn(append(trusting, params)[1:]...))
			if err != nil {
				t.Fatal(err)
			}
			cfg.TLSConfig = &tls.Config{RootCAs: roots, ServerName: "example.com"}
			db, err := tursoopt.OpenDB(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			mustExec(t, db, "CREATE TABLE t (a INTEGER)")
			for range 2 {
				tx := begin(t, db, tursoopt.TxOptions{})
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				path.Drop()
				mustExec(t, tx, "INSERT INTO t VALUES (1)")
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				path.Drop()
				queryInt(t, db, "SELECT count(*) FROM t")
			}
			if n := queryInt(t, db, "SELECT count(*) FROM t"); n != 4 {
				t.Errorf("%d rows", n)
			}
			if s := stats(t, db); s.KeepAlive.Moved < 2 {
				t.Errorf("%+v", s.KeepAlive)
			}
		})
	}
}
