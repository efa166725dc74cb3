package hranahttp

import (
	"context"
	"net/http"
	"reflect"
	"testing"

	"github.com/turso-opt/turso-opt/internal/exec"
)

func TestHeader(t *testing.T) {
	inModes(t, func(t *testing.T, m mode) {
		f := &fake{}
		c := m.client(t, f, func(cfg *Config) {
			cfg.EncryptionKey = "k"
			cfg.Token = func(context.Context) (string, error) { return "t", nil }
			cfg.Header = http.Header{
				"X-Mine": {"1", "2"}, "x-lower": {"3"}, "X-Lower": {"4"},
				// None of these may get through.
				"authorization": {"Basic evil"}, "Content-Type": {"text/evil"}, "content-length": {"5"},
				"X-Turso-Encryption-Key": {"evil"}, "Transfer-Encoding": {"gzip"}, "Accept-Encoding": {"br"},
				"Host": {"evil.test"}, "Connection": {"close"}, "Idempotency-Key": {"1"}, "X-Idempotency-Key": {"1"}, "Expect": {"100-continue"},
			}
		})
		ask(t, c)
		ask(t, c)
		got := f.requests()[0]
		for name, want := range map[string][]string{
			"X-Mine": {"1", "2"}, "Authorization": {"Bearer t"}, "Content-Type": {"application/json"},
			"X-Turso-Encryption-Key": {"k"}, "User-Agent": {"test"}, "Transfer-Encoding": nil, "Accept-Encoding": nil,
			"Connection": nil, "Idempotency-Key": nil, "X-Idempotency-Key": nil, "Expect": nil,
		} {
			if !reflect.DeepEqual(got.header[name], want) {
				t.Errorf("%s: %q, want %q", name, got.header[name], want)
			}
		}
		if v := got.header["X-Lower"]; len(v) != 2 {
			t.Errorf("X-Lower: %q", v)
		}
		if got.host == "evil.test" {
			t.Error("the Host header is the user's")
		}
	})
}

// What the user sets and nobody else needs is the user's.
func TestHeaderOfTheUser(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, f).URL, func(cfg *Config) {
		cfg.Header = http.Header{"User-Agent": {"mine"}, "Authorization": {"Custom x"}}
	})
	ask(t, c)
	if h := f.requests()[0].header; h.Get("User-Agent") != "mine" || h.Get("Authorization") != "Custom x" {
		t.Errorf("sent %v", h)
	}
}

func TestHeaderThatCannotBeSent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		text   string
	}{
		"name":  {func(cfg *Config) { cfg.Header = http.Header{"A b": {"s3cret"}} }, "the Header has a field whose name cannot be sent"},
		"empty": {func(cfg *Config) { cfg.Header = http.Header{"": {"s3cret"}} }, "the Header has a field whose name cannot be sent"},
		"value": {func(cfg *Config) { cfg.Header = http.Header{"x-a": {"s3cret\r\nEvil: 1"}} }, "the Header's field X-A has a value that cannot be sent"},
		"key":   {func(cfg *Config) { cfg.EncryptionKey = "s3cret\n" }, "the remote encryption key contains a control character"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			cl := newTestClient(t, startServer(t, f).URL, c.change)
			if e := fails(t, cl); e.Error() != c.text || e.Proof != exec.NotExecuted || e.Source != exec.FromClient {
				t.Errorf("%+v, reads %q", e, e)
			}
			cl.AwaitLevel(context.Background())
			if len(f.requests()) != 0 {
				t.Error("a request went out")
			}
		})
	}
}

// The header of each encoding is that of the level.
func TestContentTypeFollowsTheLevel(t *testing.T) {
	f := &fake{}
	c := newTestClient(t, startServer(t, f).URL, nil)
	for level, want := range map[Level]string{V2JSON: "application/json", V3JSON: "application/json", V3Protobuf: "application/x-protobuf"} {
		if _, err := c.Pipeline(context.Background(), c.Home(), level, query("SELECT 1"), Expect{}); err != nil {
			t.Fatal(err)
		}
		all := f.requests()
		var got *seen
		for i := range all {
			if all[i].method == http.MethodPost {
				got = &all[i]
			}
		}
		if got.header.Get("Content-Type") != want || got.path != "/"+level.path()+"/pipeline" {
			t.Errorf("%v: %s %q", level, got.path, got.header.Get("Content-Type"))
		}
	}
}
