package tursoopt_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
)

// A setting is a DSN parameter: the field that it sets, a value that is not its
// default, and the default as docs/configuration.md has it.
type setting struct{ field, value, byDefault string }

// settings has every parameter.
var settings = map[string]setting{
	"authToken":              {"AuthToken", "x", "none"},
	"auth_token":             {"AuthToken", "x", "none"},
	"jwt":                    {"AuthToken", "x", "none"},
	"tls":                    {"TLS", "1", "by the scheme"},
	"remote_encryption_key":  {"RemoteEncryptionKey", "x", "none"},
	"proxy":                  {"Proxy", "http://p", "none"},
	"base":                   {"Base", "libsql-client-go", tursoopt.BaseNative},
	"encoding":               {"Encoding", "json", tursoopt.EncodingAuto},
	"stmt_cache":             {"StmtCache", "1", strconv.Itoa(tursoopt.DefaultStmtCache)},
	"coalesce":               {"Coalesce", "off", "on"},
	"group_commit":           {"GroupCommit", "on", "off"},
	"lanes":                  {"Lanes", "1", "auto"},
	"cache":                  {"Cache", "64MiB", "off"},
	"cache_lease":            {"CacheLease", "5s", shortDuration(tursoopt.DefaultCacheLease)},
	"cache_ttl":              {"CacheTTL", "5s", shortDuration(tursoopt.DefaultCacheTTL)},
	"cache_table_ttl":        {"CacheTableTTL", "sessions:5s", "none"},
	"stale_while_revalidate": {"StaleWhileRevalidate", "5s", "0"},
	"retry":                  {"Retry", "off", "on"},
	"_txlock":                {"TxLock", "immediate", tursoopt.TxDeferred.String()},
	"connect_timeout":        {"ConnectTimeout", "1s", shortDuration(tursoopt.DefaultConnectTimeout)},
	"timeout":                {"Timeout", "1s", shortDuration(tursoopt.DefaultTimeout)},
	"parse_time":             {"ParseTime", "off", "on"},
	"compress":               {"Compress", "off", tursoopt.CompressAuto},
	"compress_columns":       {"CompressColumns", "docs.body", "none"},
	"compress_algorithm":     {"CompressAlgorithm", "zstd", tursoopt.AlgorithmLZ4},
	"compress_min":           {"CompressMin", "4KiB", "1KiB"},
	"compress_guard":         {"CompressGuard", "off", "on"},
	"keepalive":              {"KeepAlive", "10s", "auto"},
	"stale_after":            {"StaleAfter", "10s", shortDuration(tursoopt.DefaultStaleAfter)},
	"ping_timeout":           {"PingTimeout", "1s", shortDuration(tursoopt.DefaultPingTimeout)},
	"keepalive_idle_stop":    {"KeepAliveIdleStop", "1h", shortDuration(tursoopt.DefaultKeepAliveIdleStop)},
	"warm_conns":             {"WarmConns", "2", strconv.Itoa(tursoopt.DefaultWarmConns)},
	"pool_min":               {"PoolMin", "3", strconv.Itoa(tursoopt.DefaultPoolMin)},
	"pool_max":               {"PoolMax", "3", strconv.Itoa(tursoopt.DefaultPoolMax)},
}

// configOnly are the fields without a parameter, with their defaults as
// docs/configuration.md has them where a constant tells.
var configOnly = map[string]string{
	"TLSConfig": "", "DialContext": "", "Header": "", "TokenSource": "", "Logger": "", "FileOptions": "", "Shared": "", "Tracer": "", "CacheTables": "",
	"PoolInterval": shortDuration(tursoopt.DefaultPoolInterval), "PoolCooldown": shortDuration(tursoopt.DefaultPoolCooldown),
	"PoolUp": strconv.FormatFloat(tursoopt.DefaultPoolUp, 'g', -1, 64), "PoolDown": strconv.FormatFloat(tursoopt.DefaultPoolDown, 'g', -1, 64),
}

// shortDuration writes 60s for 1m0s, and 5m for 5m0s.
func shortDuration(d time.Duration) string {
	if d > time.Minute && d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	if d%time.Second == 0 {
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return d.String()
}

// Every field is set by a parameter or is listed as one of Config only, and
// every parameter sets its field and no other, and is written into a DSN again.
func TestConfigFields(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(settings)), slices.Sorted(slices.Values(tursoopt.DSNParams)); !slices.Equal(got, want) {
		t.Errorf("the parameters are %v, listed are %v", want, got)
	}
	covered := map[string]bool{"URL": true}
	for param, s := range settings {
		plain, err := tursoopt.ParseDSN("libsql://h")
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := tursoopt.ParseDSN("libsql://h?" + param + "=" + s.value)
		if err != nil {
			t.Errorf("%s: %v", param, err)
			continue
		}
		var changed []string
		for i := range reflect.TypeFor[tursoopt.Config]().NumField() {
			if !reflect.DeepEqual(reflect.ValueOf(*plain).Field(i).Interface(), reflect.ValueOf(*cfg).Field(i).Interface()) {
				changed = append(changed, reflect.TypeFor[tursoopt.Config]().Field(i).Name)
			}
		}
		if !slices.Equal(changed, []string{s.field}) {
			t.Errorf("%s sets %v, not %s", param, changed, s.field)
		}
		if again, err := tursoopt.ParseDSN(cfg.FormatDSN()); err != nil || !reflect.DeepEqual(again, cfg) {
			t.Errorf("%s is lost in %s: %v", param, cfg.FormatDSN(), err)
		}
		covered[s.field] = true
	}
	for name := range configOnly {
		if covered[name] {
			t.Errorf("%s has a parameter and is listed as having none", name)
		}
		covered[name] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[tursoopt.Config]()) {
		if !covered[f.Name] {
			t.Errorf("the field %s has no parameter and is not listed as having none", f.Name)
		}
		delete(covered, f.Name)
	}
	for name := range covered {
		t.Errorf("%s is listed and no field", name)
	}
}

// docs/configuration.md has a block for each parameter, with the default that
// the code has, and a row for each field of Config only.
func TestConfigurationDocument(t *testing.T) {
	text, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?m)^#### `([^`]+)`\n\n```\nType: +(.+)\nValid values: +(.+)\nDefault: +(.+)\nApplies to: +(.+)\n```\n\n(.+)")
	found := map[string]bool{}
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		param, byDefault := m[1], m[4]
		s, ok := settings[param]
		if !ok || found[param] {
			t.Errorf("it explains %s, which is no parameter or explained already", param)
			continue
		}
		found[param] = true
		if byDefault != s.byDefault && !strings.HasPrefix(byDefault, s.byDefault+":") {
			t.Errorf("it says that %s is %q by default, which is %q", param, byDefault, s.byDefault)
		}
	}
	for param := range settings {
		if !found[param] {
			t.Errorf("it does not explain %s", param)
		}
	}
	if n := strings.Count(string(text), "\n#### "); n != len(found) {
		t.Errorf("%d of its %d blocks are not in the form of the others", n-len(found), n)
	}
	for field, byDefault := range configOnly {
		m := regexp.MustCompile("(?m)^\\| `" + field + "` \\| ([^|]+) \\| .{10,} \\|$").FindSubmatch(text)
		switch {
		case m == nil:
			t.Errorf("it does not explain the field %s", field)
		case byDefault != "" && string(m[1]) != byDefault:
			t.Errorf("it says that %s is %q by default, which is %q", field, m[1], byDefault)
		}
	}
	if want := "1 to " + strconv.Itoa(tursoopt.MaxLanes); !strings.Contains(string(text), want) {
		t.Errorf("it does not say that lanes go from %s", want)
	}
	for _, param := range tursoopt.SQLiteParams {
		if !strings.Contains(string(text), "`"+param+"`") {
			t.Errorf("it does not name SQLite's %s", param)
		}
	}
}

// fullConfig has a value in every field.
func fullConfig(t *testing.T) *tursoopt.Config {
	t.Helper()
	cfg := &tursoopt.Config{
		TLSConfig:   &tls.Config{ServerName: "x"},
		Header:      http.Header{"A": {"b"}},
		Logger:      slog.New(slog.DiscardHandler),
		Tracer:      &record{},
		Shared:      tursoopt.NewShared(tursoopt.SharedConfig{}),
		TokenSource: func(context.Context) (string, error) { return "", nil },
		DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil },
	}
	v := reflect.ValueOf(cfg).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case !f.IsZero():
		case f.Kind() == reflect.String:
			f.SetString("x")
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(1)
		case f.CanUint():
			f.SetUint(1)
		case f.CanFloat():
			f.SetFloat(1)
		case f.Type() == reflect.TypeFor[[]string]():
			f.Set(reflect.ValueOf([]string{"docs.body"}))
		case f.Type() == reflect.TypeFor[map[string]time.Duration]():
			f.Set(reflect.ValueOf(map[string]time.Duration{"t": time.Second}))
		case f.Type() == reflect.TypeFor[map[string][]string]():
			f.Set(reflect.ValueOf(map[string][]string{"t": {"v"}}))
		case f.Type() == reflect.TypeFor[*bool]():
			f.Set(reflect.ValueOf(ptr(true)))
		default:
			t.Fatalf("this test does not know how to fill %s", v.Type().Field(i).Name)
		}
	}
	return cfg
}

// A clone has everything, and nothing that a change of the original reaches.
func TestConfigClone(t *testing.T) {
	cfg := fullConfig(t)
	clone := cfg.Clone()
	a, b := reflect.ValueOf(*cfg), reflect.ValueOf(*clone)
	for i := range a.NumField() {
		name, x, y := a.Type().Field(i).Name, a.Field(i), b.Field(i)
		switch x.Kind() {
		case reflect.Func:
			if x.Pointer() != y.Pointer() {
				t.Errorf("%s is another function", name)
			}
		case reflect.Pointer, reflect.Map, reflect.Slice:
			if y.IsNil() || x.Pointer() == y.Pointer() != (name == "Logger" || name == "Shared") {
				t.Errorf("%s is lost or shared", name)
			}
			if name != "TLSConfig" && name != "Shared" && !reflect.DeepEqual(x.Interface(), y.Interface()) {
				t.Errorf("%s is %v, not %v", name, y, x)
			}
		default:
			if !reflect.DeepEqual(x.Interface(), y.Interface()) {
				t.Errorf("%s is %v, not %v", name, y, x)
			}
		}
	}
	cfg.Header["A"][0], cfg.TLSConfig.ServerName, cfg.CacheTables["t"][0] = "changed", "changed", "changed"
	if clone.CacheTables["t"][0] != "v" {
		t.Error("what is within CacheTables is shared")
	}
	if clone.Header.Get("A") != "b" || clone.TLSConfig.ServerName != "x" {
		t.Errorf("what is within Header or TLSConfig is shared: %v, %v", clone.Header, clone.TLSConfig.ServerName)
	}
	if empty := (&tursoopt.Config{}).Clone(); !reflect.DeepEqual(*empty, tursoopt.Config{}) {
		t.Errorf("the clone of nothing is %v", empty)
	}
}

func TestConfigValidation(t *testing.T) {
	source := func(context.Context) (string, error) { return "", nil }
	for _, c := range []struct {
		cfg  tursoopt.Config
		says string
	}{
		{tursoopt.Config{}, "URL"},
		{tursoopt.Config{URL: "libsql://h?authToken=S3CRET"}, "query"},
		{tursoopt.Config{URL: "libsql://h#S3CRET"}, "fragment"},
		{tursoopt.Config{URL: "libsql://S3CRET:%zz@h"}, "URL"},
		{tursoopt.Config{URL: "libsql://h", AuthToken: "S3CRET\r\nX: y"}, "authToken"},
		{tursoopt.Config{URL: "libsql://h", RemoteEncryptionKey: "S3CRET\x00"}, "remote_encryption_key"},
		{tursoopt.Config{URL: "libsql://h", AuthToken: "S3CRET", TokenSource: source}, "TokenSource"},
		{tursoopt.Config{URL: "libsql://h", TLS: ptr(false)}, "tls"},
		{tursoopt.Config{URL: "libsql://h", Proxy: "S3CRET"}, "proxy"},
		{tursoopt.Config{URL: "libsql://h", Base: "S3CRET"}, "base"},
		{tursoopt.Config{URL: "libsql://h", Encoding: "S3CRET"}, "encoding"},
		{tursoopt.Config{URL: "libsql://h", TxLock: 9}, "_txlock"},
		{tursoopt.Config{URL: "libsql://h", Lanes: -1}, "lanes"},
		{tursoopt.Config{URL: "libsql://h", Lanes: tursoopt.MaxLanes + 1}, "lanes"},
		{tursoopt.Config{URL: "libsql://h", KeepAlive: tursoopt.MinKeepAlive - 1}, "keepalive"},
		{tursoopt.Config{URL: "libsql://h", PingTimeout: -1}, "ping_timeout"},
		{tursoopt.Config{URL: "libsql://h", WarmConns: tursoopt.MaxWarmConns + 1}, "warm_conns"},
		{tursoopt.Config{URL: "libsql://h", PoolMin: -1}, "pool_min"},
		{tursoopt.Config{URL: "libsql://h", PoolMin: 5, PoolMax: 4}, "pool_m"},
		{tursoopt.Config{URL: "libsql://h", FileOptions: "mode=ro"}, "FileOptions"},
		{tursoopt.Config{URL: "file:x", FileOptions: "mode=ro&S3CRET=1"}, "FileOptions"},
		{tursoopt.Config{URL: "file:x?mode=ro"}, "query"},
		{tursoopt.Config{URL: "file:x", TLS: ptr(true)}, "tls"},
		// What the base cannot do.
		{tursoopt.Config{URL: "ws://h", Base: tursoopt.BaseNative}, "base"},
		{tursoopt.Config{URL: "ws://h", Encoding: tursoopt.EncodingProtobuf}, "encoding"},
		{tursoopt.Config{URL: "libsql://h", Base: tursoopt.BaseLibsql, TokenSource: source}, "TokenSource"},
		{tursoopt.Config{URL: "libsql://h", Base: tursoopt.BaseLibsql, TLSConfig: &tls.Config{}}, "TLSConfig"},
		{tursoopt.Config{URL: "libsql://h", Cache: 1 << 20, CacheTables: map[string][]string{"t": nil}}, "CacheTables"},
		{tursoopt.Config{URL: "file:x", Cache: 1}, "64KiB"},
		{tursoopt.Config{URL: ":memory:", Cache: 1 << 20}, "memory"},
		{tursoopt.Config{URL: "file::memory:", FileOptions: "cache=shared", Cache: 1 << 20}, "memory"},
		{tursoopt.Config{URL: "file:x", FileOptions: "mode=memory", Cache: 1 << 20}, "memory"},
		{tursoopt.Config{URL: "libsql://h", Base: tursoopt.BaseLibsql, DialContext: (&net.Dialer{}).DialContext}, "DialContext"},
	} {
		for _, open := range []func() error{
			func() error { _, err := tursoopt.NewConnector(&c.cfg); return err },
			func() error { _, err := tursoopt.OpenDB(&c.cfg); return err },
		} {
			err := open()
			if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "turso-opt: ") || strings.Contains(err.Error(), "S3CRET") {
				t.Errorf("%v: %v", &c.cfg, err)
			}
		}
	}
	if _, err := tursoopt.Wrap(nil, nil); err == nil {
		t.Error("nothing is wrapped")
	}
	if _, err := tursoopt.OpenDB(nil); err == nil {
		t.Error("no Config is opened")
	}
	if _, err := tursoopt.BeginTx(context.Background(), nil, tursoopt.TxOptions{Lock: 9}); err == nil {
		t.Error("a lock that is none is taken")
	}
}

// A Connector keeps its own copy of the Config.
func TestConnectorCopiesConfig(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	cfg := &tursoopt.Config{URL: e.url, Header: http.Header{"X-Test": {"kept"}}}
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	cfg.URL, cfg.Timeout = "libsql://nowhere.invalid", 1
	cfg.Header.Set("X-Test", "bad\r\nvalue")
	if err := db.Ping(); err != nil {
		t.Error(err)
	}
}

// A field that must not be in a header is refused when it is used, and its value
// not shown.
func TestConfigHeader(t *testing.T) {
	e := newEnv(t, nativeModes[3])
	for _, h := range []http.Header{{"X-Test": {"S3CRET\r\nX: y"}}, {"Bad Name": {"S3CRET"}}, {"": {"S3CRET"}}} {
		db, err := tursoopt.OpenDB(&tursoopt.Config{URL: e.url, Header: h})
		if err != nil {
			t.Fatal(err)
		}
		var sqlErr *tursoopt.Error
		if err := db.Ping(); !errors.As(err, &sqlErr) || strings.Contains(err.Error(), "S3CRET") ||
			tursoopt.OutcomeUnknown(err) || tursoopt.Retryable(err) {
			t.Errorf("%q: %v", h, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if n := e.embedded.Stats().Total(); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
