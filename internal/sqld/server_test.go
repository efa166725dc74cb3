package sqld_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/turso-opt/turso-opt/internal/sqld"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		beParent()
	}
	goleak.VerifyTestMain(m)
}

var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

// run sends one statement in a stream of its own and gives the first value of
// its first row, empty if there is none.
func run(t *testing.T, s *sqld.Server, sql string) string {
	t.Helper()
	value, err := try(s, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func try(s *sqld.Server, sql string) (string, error) {
	body, err := json.Marshal(map[string]any{"requests": []any{
		map[string]any{"type": "execute", "stmt": map[string]any{"sql": sql}},
		map[string]any{"type": "close"},
	}})
	if err != nil {
		return "", err
	}
	resp, err := client.Post(s.URL()+"/v3/pipeline", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status + ": " + string(text))
	}
	var answer struct {
		Results []struct {
			Error    *struct{ Message string }
			Response struct {
				Result struct{ Rows [][]struct{ Value string } }
			}
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return "", err
	}
	first := answer.Results[0]
	if first.Error != nil {
		return "", errors.New(first.Error.Message)
	}
	if rows := first.Response.Result.Rows; len(rows) > 0 {
		return rows[0][0].Value, nil
	}
	return "", nil
}

func TestKillAndRestartKeepDataAndPort(t *testing.T) {
	s := sqld.ForTest(t, sqld.Options{})
	url := s.URL()
	run(t, s, "CREATE TABLE t(x)")
	run(t, s, "INSERT INTO t VALUES (42)")

	s.Kill()
	if _, err := try(s, "SELECT 1"); err == nil {
		t.Error("a killed server answered")
	}
	s.Kill() // nothing is left to kill
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if s.URL() != url {
		t.Errorf("URL %s after the restart, %s before", s.URL(), url)
	}
	if got := run(t, s, "SELECT x FROM t"); got != "42" {
		t.Errorf("x = %q after kill and restart, want 42", got)
	}
	// A running server is restarted as well.
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := run(t, s, "SELECT x FROM t"); got != "42" {
		t.Errorf("x = %q after a second restart, want 42", got)
	}
}

func TestStop(t *testing.T) {
	s, err := sqld.Start(sqld.Options{})
	if errors.Is(err, sqld.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "dbs")); err != nil {
		t.Errorf("the data are not in Dir: %v", err)
	}
	run(t, s, "SELECT 1")
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder is still there (%v)", err)
	}
	// Once in a thousand times sqld begins to end and then does not.
	if took := time.Since(began); !strings.Contains(s.Log(), "shutdown gracefully") && (took < 5*time.Second || !strings.Contains(s.Log(), "SIGTERM")) {
		t.Errorf("after %v the server had not been let end by itself; log:\n%s", took, s.Log())
	}
	if err := s.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

func TestReplicaFollowsPrimary(t *testing.T) {
	primary := sqld.ForTest(t, sqld.Options{Replicated: true})
	replica := sqld.ForTest(t, sqld.Options{Primary: primary})
	// A write through the replica reaches the primary, which proves that the
	// two are connected in both directions.
	run(t, replica, "CREATE TABLE t AS SELECT 7 AS x")
	if got := run(t, primary, "SELECT x FROM t"); got != "7" {
		t.Errorf("x = %q on the primary, want 7", got)
	}
	await(t, "the replica has the table", func() bool {
		got, _ := try(replica, "SELECT x FROM t")
		return got == "7"
	})
}

func TestPrimaryMustBeReplicated(t *testing.T) {
	primary := sqld.ForTest(t, sqld.Options{})
	if s, err := sqld.Start(sqld.Options{Primary: primary}); err == nil {
		s.Stop()
		t.Error("a replica of a server that has no replicas was started")
	}
}

func TestJWTKeyFileAsksForTokens(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(base64.RawURLEncoding.EncodeToString(public)), 0o600); err != nil {
		t.Fatal(err)
	}
	s := sqld.ForTest(t, sqld.Options{JWTKeyFile: file})
	if _, err := try(s, "SELECT 1"); err == nil || !strings.HasPrefix(err.Error(), "401") {
		t.Errorf("a request without a token: %v, want 401", err)
	}
}

func TestAdmin(t *testing.T) {
	if url := sqld.ForTest(t, sqld.Options{}).AdminURL(); url != "" {
		t.Errorf("AdminURL = %q without Admin", url)
	}
	s := sqld.ForTest(t, sqld.Options{Admin: true})
	resp, err := client.Get(s.AdminURL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("libsql_server_")) {
		t.Errorf("/metrics answers %s:\n%s", resp.Status, text)
	}
}

func TestArgsReachTheServer(t *testing.T) {
	s := sqld.ForTest(t, sqld.Options{Args: []string{"--max-response-size", "1KB"}})
	if _, err := try(s, "SELECT hex(zeroblob(2000))"); err == nil {
		t.Error("a response above the limit that Args set was sent")
	}
}

func TestStartTellsWhyTheServerEnded(t *testing.T) {
	s, err := sqld.Start(sqld.Options{Path: binary(t), Args: []string{"--no-such-option"}})
	if err == nil {
		s.Stop()
		t.Fatal("started with an unknown option")
	}
	if !strings.Contains(err.Error(), "--no-such-option") {
		t.Errorf("the error does not show the log: %v", err)
	}
}

func TestRestartNeedsItsPort(t *testing.T) {
	s := sqld.ForTest(t, sqld.Options{})
	s.Kill()
	l, err := net.Listen("tcp", strings.TrimPrefix(s.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	// The stranger says that it is healthy, as another sqld would.
	stranger := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	served := make(chan error, 1)
	go func() { served <- stranger.Serve(l) }()
	defer func() {
		stranger.Close()
		<-served
	}()
	if err := s.Restart(); err == nil {
		t.Error("Restart took a stranger on its port for the server")
	}
}

// binary is sqld's path; the test is skipped where there is none.
func binary(t *testing.T) string {
	t.Helper()
	path, err := sqld.Find()
	if errors.Is(err, sqld.ErrNotFound) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// childEnv turns the test binary into a program that starts a server, tells its
// process number and waits to be killed.
const childEnv = "SQLD_TEST_BE_PARENT"

func beParent() {
	s, err := sqld.Start(sqld.Options{Dir: os.Getenv(childEnv)})
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(s.URL() + "\n")
	select {}
}

func TestServerDiesWithItsParent(t *testing.T) {
	if !sqld.DiesWithParent {
		t.Skip("this system cannot tie a process to its parent")
	}
	binary(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), childEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := out.Read(line)
	url := strings.TrimSpace(string(line[:n]))
	if err != nil || !strings.HasPrefix(url, "http://") {
		t.Fatalf("the parent says %q (%v)", url, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	parent.Wait()
	await(t, "the server ends after the program that started it", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// await looks again and again until seen is true.
func await(t *testing.T, what string, seen func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !seen(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
