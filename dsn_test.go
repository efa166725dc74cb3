package tursoopt_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
)

func ptr[T any](v T) *T { return &v }

// A dsnCase is a DSN and the Config that it is.
type dsnCase struct {
	dsn  string
	want tursoopt.Config
}

var dsnCases = []dsnCase{
	{"libsql://db.turso.io", tursoopt.Config{URL: "libsql://db.turso.io"}},
	{"turso://db.turso.io", tursoopt.Config{URL: "turso://db.turso.io"}},
	{"https://db.turso.io/", tursoopt.Config{URL: "https://db.turso.io/"}},
	{"http://127.0.0.1:8080?", tursoopt.Config{URL: "http://127.0.0.1:8080"}},
	{"http://[::1]:8080", tursoopt.Config{URL: "http://[::1]:8080"}},
	{"HTTPS://Db.Turso.IO", tursoopt.Config{URL: "HTTPS://Db.Turso.IO"}},
	// Paths (namespaces) and userinfo stay.
	{"https://host/dev/my%20db", tursoopt.Config{URL: "https://host/dev/my%20db"}},
	{"https://user:pass%40word@host:1/a/b/?timeout=1s", tursoopt.Config{URL: "https://user:pass%40word@host:1/a/b/", Timeout: time.Second}},

	{"libsql://h?authToken=abc", tursoopt.Config{URL: "libsql://h", AuthToken: "abc"}},
	{"libsql://h?auth_token=a%26b%3D%23", tursoopt.Config{URL: "libsql://h", AuthToken: "a&b=#"}},
	{"libsql://h?jwt=eyJ.eyJ.x_-", tursoopt.Config{URL: "libsql://h", AuthToken: "eyJ.eyJ.x_-"}},
	{"libsql://h?authToken=&jwt=x&", tursoopt.Config{URL: "libsql://h", AuthToken: "x"}},
	{"libsql://h:1?tls=0", tursoopt.Config{URL: "libsql://h:1", TLS: ptr(false)}},
	{"libsql://h?tls=1", tursoopt.Config{URL: "libsql://h", TLS: ptr(true)}},
	{"libsql://h?tls=", tursoopt.Config{URL: "libsql://h"}},
	{"http://h?tls=off", tursoopt.Config{URL: "http://h", TLS: ptr(false)}},
	{"wss://h?tls=true", tursoopt.Config{URL: "wss://h", TLS: ptr(true)}},
	{"libsql://h?remote_encryption_key=a%2Bb%2F%3D", tursoopt.Config{URL: "libsql://h", RemoteEncryptionKey: "a+b/="}},
	{"libsql://h?proxy=http%3A%2F%2Fp%3A3128", tursoopt.Config{URL: "libsql://h", Proxy: "http://p:3128"}},
	{"libsql://h?proxy=//p:3128", tursoopt.Config{URL: "libsql://h", Proxy: "//p:3128"}},
	{"libsql://h?base=native", tursoopt.Config{URL: "libsql://h", Base: tursoopt.BaseNative}},
	{"ws://h?base=libsql-client-go", tursoopt.Config{URL: "ws://h", Base: tursoopt.BaseLibsql}},
	{"ws://h:8080", tursoopt.Config{URL: "ws://h:8080"}},
	{"libsql://h?encoding=auto", tursoopt.Config{URL: "libsql://h", Encoding: tursoopt.EncodingAuto}},
	{"libsql://h?encoding=json", tursoopt.Config{URL: "libsql://h", Encoding: tursoopt.EncodingJSON}},
	{"libsql://h?encoding=protobuf", tursoopt.Config{URL: "libsql://h", Encoding: tursoopt.EncodingProtobuf}},
	{"libsql://h?stmt_cache=100", tursoopt.Config{URL: "libsql://h", StmtCache: 100}},
	{"libsql://h?stmt_cache=0", tursoopt.Config{URL: "libsql://h", StmtCache: -1}},
	{"libsql://h?coalesce=off", tursoopt.Config{URL: "libsql://h", Coalesce: ptr(false)}},
	{"libsql://h?coalesce=1", tursoopt.Config{URL: "libsql://h", Coalesce: ptr(true)}},
	{"libsql://h?retry=off", tursoopt.Config{URL: "libsql://h", Retry: ptr(false)}},
	{"libsql://h?retry=1", tursoopt.Config{URL: "libsql://h", Retry: ptr(true)}},
	{"libsql://h?group_commit=on", tursoopt.Config{URL: "libsql://h", GroupCommit: true}},
	{"libsql://h?group_commit=0", tursoopt.Config{URL: "libsql://h"}},
	{"libsql://h?lanes=auto", tursoopt.Config{URL: "libsql://h"}},
	{"libsql://h?lanes=8", tursoopt.Config{URL: "libsql://h", Lanes: 8}},
	{"libsql://h?cache=1MiB&cache_table_ttl=sessions:5s,audit:off,a%3Ab:0,C:90m", tursoopt.Config{URL: "libsql://h", Cache: 1 << 20,
		CacheTableTTL: map[string]time.Duration{"sessions": 5 * time.Second, "audit": 0, "a:b": 0, "C": 90 * time.Minute}}},
	{"libsql://h?keepalive=auto", tursoopt.Config{URL: "libsql://h"}},
	{"libsql://h?keepalive=0&stale_after=0&keepalive_idle_stop=0&warm_conns=0",
		tursoopt.Config{URL: "libsql://h", KeepAlive: -1, StaleAfter: -1, KeepAliveIdleStop: -1, WarmConns: -1}},
	{"libsql://h?keepalive=10s&stale_after=1m&ping_timeout=2s&keepalive_idle_stop=1h&warm_conns=4",
		tursoopt.Config{URL: "libsql://h", KeepAlive: 10 * time.Second, StaleAfter: time.Minute, PingTimeout: 2 * time.Second, KeepAliveIdleStop: time.Hour, WarmConns: 4}},
	{"libsql://h?_txlock=deferred", tursoopt.Config{URL: "libsql://h", TxLock: tursoopt.TxDeferred}},
	{"libsql://h?_txlock=immediate", tursoopt.Config{URL: "libsql://h", TxLock: tursoopt.TxImmediate}},
	{"libsql://h?_txlock=exclusive", tursoopt.Config{URL: "libsql://h", TxLock: tursoopt.TxExclusive}},
	{"libsql://h?connect_timeout=1m30s", tursoopt.Config{URL: "libsql://h", ConnectTimeout: 90 * time.Second}},
	{"libsql://h?connect_timeout=0", tursoopt.Config{URL: "libsql://h", ConnectTimeout: -1}},
	{"libsql://h?timeout=1500ms", tursoopt.Config{URL: "libsql://h", Timeout: 1500 * time.Millisecond}},
	{"libsql://h?timeout=0s", tursoopt.Config{URL: "libsql://h", Timeout: -1}},
	{"libsql://h?parse_time=false", tursoopt.Config{URL: "libsql://h", ParseTime: ptr(false)}},
	{"libsql://h?parse_time=on", tursoopt.Config{URL: "libsql://h", ParseTime: ptr(true)}},
	{"libsql://h?pool_min=3&pool_max=30", tursoopt.Config{URL: "libsql://h", PoolMin: 3, PoolMax: 30}},
	{"libsql://h?parse%5Ftime=0&time%6Fut=1s", tursoopt.Config{URL: "libsql://h", ParseTime: ptr(false), Timeout: time.Second}},

	// Files: SQLite's own go to the SQLite driver, in their order and spelling.
	{":memory:", tursoopt.Config{URL: ":memory:"}},
	{":memory:?cache=shared", tursoopt.Config{URL: ":memory:", FileOptions: "cache=shared"}},
	{"file:test.db", tursoopt.Config{URL: "file:test.db"}},
	{"file:///tmp/a%20b.db?mode=ro", tursoopt.Config{URL: "file:///tmp/a%20b.db", FileOptions: "mode=ro"}},
	{"file:t.db?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&timeout=5s&vfs=memdb&_txlock=immediate&immutable=1&authToken=x", tursoopt.Config{
		URL: "file:t.db", FileOptions: "_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&vfs=memdb&_txlock=immediate&immutable=1",
		Timeout: 5 * time.Second, AuthToken: "x"}},
	{"FILE:t.db?cache=private", tursoopt.Config{URL: "FILE:t.db", FileOptions: "cache=private"}},
	{"file:t.db?cache=shared&cache=64MiB&mode=ro", tursoopt.Config{URL: "file:t.db", FileOptions: "cache=shared&mode=ro", Cache: 64 << 20}},
	{"file:t.db?cache=off", tursoopt.Config{URL: "file:t.db"}},
	{"libsql://h?cache=1MiB&base=libsql-client-go", tursoopt.Config{URL: "libsql://h", Cache: 1 << 20, Base: tursoopt.BaseLibsql}},
	{"ws://h?cache=1MiB", tursoopt.Config{URL: "ws://h", Cache: 1 << 20}},
}

func TestParseDSN(t *testing.T) {
	for _, c := range dsnCases {
		got, err := tursoopt.ParseDSN(c.dsn)
		if err != nil {
			t.Errorf("%s: %v", c.dsn, err)
			continue
		}
		if !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s is\n\t%#v, want\n\t%#v", c.dsn, got, c.want)
		}
		again, err := tursoopt.ParseDSN(got.FormatDSN())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s is written as %s, which is %v, %v", c.dsn, got.FormatDSN(), again, err)
		}
	}
}

func TestParseDSNErrors(t *testing.T) {
	for _, c := range []struct{ dsn, says string }{
		{"", "URL"},
		{"db.turso.io", "URL"},
		{"/tmp/test.db", "URL"},
		{"postgres://S3CRET@h", "URL"},
		{"libsql://", "host"},
		{"libsql:S3CRET", "host"},
		{"libsql://:8080", "host"},
		{"https://h:S3CRET", "URL"},
		{"https://h/%zz-S3CRET", "URL"},
		{"https://u:S3CRET%zz@h", "URL"},
		{"https://h#S3CRET", "fragment"},
		{"https://h?authToken=x#S3CRET", "authToken"},
		{"file://test.db", "slash"},
		{"libsql://h?tls=0", "port"},
		{"https://h?tls=0", "tls"},
		{"wss://h?tls=off", "tls"},
		{"http://h?tls=1", "tls"},
		{"ws://h?tls=1", "tls"},
		{"libsql://h?tls=S3CRET", "tls"},
		{"libsql://h?authToken=S3CRET1&jwt=S3CRET2", "at most one"},
		{"libsql://h?authToken=S3CRET1&authToken=S3CRET2", "twice"},
		{"libsql://h?timeout=1s&timeout=2s", "twice"},
		{"libsql://h?authToken=S3CRET%0A", "authToken"},
		{"libsql://h?authToken=S3CRET%zz", "authToken"},
		{"libsql://h?remote_encryption_key=S3CRET%00", "remote_encryption_key"},
		{"libsql://h?proxy=S3CRET", "proxy"},
		{"libsql://h?proxy=ftp%3A%2F%2FS3CRET", "proxy"},
		{"ws://h?proxy=http%3A%2F%2FS3CRET", "proxy"},
		{"libsql://h?base=S3CRET", "base"},
		{"ws://h?base=native", "base"},
		{"libsql://h?encoding=S3CRET", "encoding"},
		{"libsql://h?stmt_cache=-1", "stmt_cache"},
		{"libsql://h?stmt_cache=S3CRET", "stmt_cache"},
		{"libsql://h?stmt_cache=99999999999", "stmt_cache"},
		{"libsql://h?coalesce=S3CRET", "coalesce"},
		{"libsql://h?group_commit=yes", "group_commit"},
		{"libsql://h?retry=3", "retry"},
		{"libsql://h?lanes=0", "lanes"},
		{"libsql://h?lanes=65", "lanes"},
		{"libsql://h?lanes=S3CRET", "lanes"},
		{"libsql://h?_txlock=S3CRET", "_txlock"},
		{"libsql://h?connect_timeout=10", "connect_timeout"},
		{"libsql://h?connect_timeout=-1s", "connect_timeout"},
		{"libsql://h?timeout=S3CRET", "timeout"},
		{"libsql://h?parse_time=S3CRET", "parse_time"},
		{"libsql://h?keepalive=S3CRET", "keepalive"},
		{"libsql://h?keepalive=99ms", "keepalive"},
		{"libsql://h?keepalive=-1s", "keepalive"},
		{"libsql://h?stale_after=S3CRET", "stale_after"},
		{"libsql://h?ping_timeout=0", "ping_timeout"},
		{"libsql://h?keepalive_idle_stop=S3CRET", "keepalive_idle_stop"},
		{"libsql://h?warm_conns=-1", "warm_conns"},
		{"libsql://h?warm_conns=65", "warm_conns"},
		{"libsql://h?cache_table_ttl=S3CRET", "cache_table_ttl: want table:duration"},
		{"libsql://h?cache_table_ttl=t:S3CRET", "cache_table_ttl: want table:duration"},
		{"libsql://h?cache_table_ttl=S3CRET:1s,t:-1s", "cache_table_ttl: want no negative"},
		{"libsql://h?cache_table_ttl=S3CRET:1s,s3cret:2s", "cache_table_ttl: a table is named twice"},
		{"libsql://h?cache_table_ttl=S3CRET:1s,S3CRET:2s", "cache_table_ttl: a table is named twice"},
		{"libsql://h?cache_table_ttl=:1s", "cache_table_ttl: a table has no name"},
		{"libsql://h?pool_min=S3CRET", "pool_min"},
		{"libsql://h?pool_max=-1", "pool_max"},
		{"libsql://h?pool_min=10&pool_max=5", "pool_m"},
		{"libsql://h?pars_time=S3CRET", "parse_time"},
		{"libsql://h?Timeout=S3CRET", "timeout"},
		{"libsql://h?S3CRET", "unknown parameter"},
		{"libsql://h?=S3CRET", "unknown parameter"},
		{"libsql://h?%zz=S3CRET", "not well escaped"},
		{"libsql://h?mode=ro", "unknown parameter mode"},
		{"libsql://h?cache=on", "cache: want off, or a size such as 64MiB"},
		{" libsql://S3CRET", "blank"},
		{"libsql://S3CRET\n", "blank"},
		{"libsql://h&authToken=S3CRET", "begin with ?"},
		{"libsql://h:8080&authToken=S3CRET", "begin with ?"},
		{"libsql://h?cache=shared", "cache"}, {"libsql://h?cache=1KiB", "cache"}, {"libsql://h?cache=-1", "cache"},
		{":memory:?cache=1MiB", "cache: a database in memory"}, {"file:t.db?cache=1MiB&mode=memory", "cache: a database in memory"},
		{"file:t.db?tls=1", "tls"},
		{"file:t.db?proxy=http%3A%2F%2FS3CRET", "proxy"},
		{"file:t.db?base=native", "base"},
		{"file:t.db?remote_encryption_key=S3CRET", "remote_encryption_key"},
		{"file:t.db?unknown=S3CRET", "unknown parameter"},
		{":memory:S3CRET", "URL"},
	} {
		cfg, err := tursoopt.ParseDSN(c.dsn)
		if err == nil || cfg != nil {
			t.Errorf("%s is taken as %v", c.dsn, cfg)
			continue
		}
		if !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "turso-opt: ") || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("%s: %v", c.dsn, err)
		}
		if c.dsn == "" {
			continue // tools open it to find the driver; see TestEmptyDSN
		}
		if _, err2 := sql.Open("turso-opt", c.dsn); err2 == nil || err2.Error() != err.Error() {
			t.Errorf("%s is opened: %v", c.dsn, err2)
		}
	}
}

// Who mistypes a name learns all of them; a piece of a token with an unescaped &
// is not shown, however it looks.
func TestParseDSNUnknown(t *testing.T) {
	_, err := tursoopt.ParseDSN("libsql://h?pars_time=off")
	if err == nil || !strings.Contains(err.Error(), "unknown parameter pars_time;") {
		t.Fatal(err)
	}
	for _, p := range tursoopt.DSNParams {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s is not named in %q", p, err)
		}
	}
	for _, tail := range []string{"Zm9v", "abcdef", "x1=y", "a-b=c", "abcdefghijklmnopqrstuvwxyz=1", "%61bc.d=x"} {
		if _, err := tursoopt.ParseDSN("libsql://h?authToken=eyJ&" + tail); err == nil || strings.Contains(err.Error(), strings.SplitN(tail, "=", 2)[0]) {
			t.Errorf("%s: %v", tail, err)
		}
	}
}

// No DSN makes it panic; an error shows nothing of it but a name; what is read
// is written so that it is read back.
func FuzzParseDSN(f *testing.F) {
	for _, c := range dsnCases {
		f.Add(c.dsn, "")
		if i := strings.IndexAny(c.dsn, "=@"); i >= 0 {
			f.Add(c.dsn[:i+1], c.dsn[i+1:])
		}
	}
	f.Add("libsql://h?authToken=", "%zz")
	f.Add("https://u:", "%zz@h")
	f.Add("libsql://h?", "=1")
	const secret = "S3cr3t7Zq"
	f.Fuzz(func(t *testing.T, before, after string) {
		dsn := before + secret + after
		cfg, err := tursoopt.ParseDSN(dsn)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error for %q is %v", dsn, err)
			}
			cfg, err = tursoopt.ParseDSN(before + after)
			if err != nil {
				return
			}
		}
		text := cfg.FormatDSN()
		again, err := tursoopt.ParseDSN(text)
		if err != nil || !reflect.DeepEqual(again, cfg) {
			t.Errorf("%q is written as %q, which is %#v, %v", dsn, text, again, err)
		}
		if _, err := tursoopt.NewConnector(cfg); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error for %q is %v", dsn, err)
		}
		cfg.AuthToken, cfg.RemoteEncryptionKey, cfg.FileOptions = secret, secret, "_pragma=key("+secret+")"
		cfg.URL, cfg.Proxy = "file:x", ""
		if shown := cfg.String(); strings.Contains(shown, secret) {
			t.Errorf("it is shown as %q", shown)
		}
	})
}

// Whatever is secret is in no way that a Config is printed.
func TestConfigRedacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const secret = "S3CRET"
		word := rapid.StringMatching(`[a-z0-9.%&#?=@/: -]{0,12}`)
		hide := func(name string) string {
			return word.Draw(t, name+" before") + secret + word.Draw(t, name+" after")
		}
		cfg := tursoopt.Config{
			AuthToken: hide("token"), RemoteEncryptionKey: hide("key"), FileOptions: hide("options"),
			URL:   "https://" + rapid.SampledFrom([]string{"user:" + secret, secret, secret + ":x", ":" + secret}).Draw(t, "userinfo") + "@host/path?x=" + secret,
			Proxy: "http://user:" + secret + "@proxy#" + secret,
		}
		if strings.Contains(cfg.URL, secret+":x") {
			cfg.URL = "libsql://host?authToken=" + secret // a user's name beside a password is none
		}
		if rapid.Bool().Draw(t, "broken") {
			cfg.URL, cfg.Proxy = "https://%zz:"+secret+"@host", "://"+secret+"@"
		}
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("opening", "config", cfg, "pointer", &cfg)
		for _, shown := range []string{
			cfg.String(), fmt.Sprint(cfg), fmt.Sprint(&cfg), fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg, cfg),
			fmt.Sprintf("%v %+v %#v %s %q", &cfg, &cfg, &cfg, &cfg, &cfg), fmt.Sprintf("%+v", struct{ C *tursoopt.Config }{&cfg}), log.String(),
		} {
			if strings.Contains(shown, secret) {
				t.Fatalf("it is shown as %s", shown)
			}
		}
	})
	cfg, err := tursoopt.ParseDSN("libsql://me:S3CRET@db.turso.io/ns?authToken=S3CRET&timeout=5s")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := cfg.String(), "libsql://me:xxxxx@db.turso.io/ns?authToken=xxxxx&timeout=5s"; got != want {
		t.Errorf("a Config is shown as %s, want %s", got, want)
	}
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := tursoopt.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if shown := fmt.Sprintf("%v %+v %#v %+v %#v", db, db, db, c, c); strings.Contains(shown, "S3CRET") {
		t.Errorf("a Connector is shown as %s", shown)
	}
}
