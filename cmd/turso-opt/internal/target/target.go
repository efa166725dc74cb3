// Package target gives the command a database to work on: the one it is told of,
// or a server of its own, started for the purpose.
package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/sqld"
)

// What Options.Server may be beside a URL.
const (
	// Auto is the database that the environment names, or else sqld, or else the
	// embedded server.
	Auto = "auto"
	// Sqld is a real libSQL server, which must be installed.
	Sqld = "sqld"
	// Embedded is hranatest in a process of its own, so that what is measured in
	// this one is the client's alone.
	Embedded = "embedded"
)

// Options say which database is wanted.
type Options struct {
	// Server is Auto, Sqld, Embedded or a DSN.
	Server string
	// Getenv reads the environment.
	Getenv func(string) string
	// Child runs the embedded server.
	Child Command
}

// A Target is a running server and how to reach it.
type Target struct {
	// Kind is Sqld, Embedded or "database".
	Kind string
	// Config reaches it.
	Config *tursoopt.Config
	// Version is what the server says it is, empty if it does not say.
	Version string
	stop    func() error
}

// Own tells whether the server was started for this Target alone, so that it is
// empty and what is done to it harms nobody.
func (t *Target) Own() bool { return t.Kind != database }

// String names the target without any credential.
func (t *Target) String() string {
	name := t.Version
	switch {
	case t.Kind == Embedded:
		name = "the embedded server (hranatest)"
	case t.Kind == database && name == "":
		name = t.Config.String()
	case t.Kind == database:
		name += " at " + t.Config.String()
	}
	return name
}

// Close ends a server that Start has started.
func (t *Target) Close() error {
	if t.stop == nil {
		return nil
	}
	return t.stop()
}

const database = "database"

// Resolve says what Start would start, without starting it: Sqld, Embedded, or a
// DSN.
func Resolve(o Options) (server string, err error) {
	switch o.Server {
	case "", Auto:
		if dsn := o.Getenv(EnvURL); dsn != "" {
			return dsn, nil
		}
		if _, err := sqld.Find(); err == nil {
			return Sqld, nil
		} else if !errors.Is(err, sqld.ErrNotFound) {
			return "", err
		}
		return Embedded, nil
	}
	return o.Server, nil
}

// Start gives the database that o asks for; the caller closes it.
func Start(ctx context.Context, o Options) (*Target, error) {
	server, err := Resolve(o)
	if err != nil {
		return nil, err
	}
	switch server {
	case Sqld:
		s, err := sqld.Start(sqld.Options{})
		if err != nil {
			return nil, err
		}
		return owned(ctx, Sqld, s.URL(), s.Stop)
	case Embedded:
		url, stop, err := o.Child.start(ctx)
		if err != nil {
			return nil, err
		}
		return owned(ctx, Embedded, url, stop)
	}
	cfg, err := ConfigFor(server, o.Getenv)
	if err != nil {
		return nil, err
	}
	t := &Target{Kind: database, Config: cfg}
	t.Version = version(ctx, cfg)
	return t, nil
}

func owned(ctx context.Context, kind, url string, stop func() error) (*Target, error) {
	cfg, err := tursoopt.ParseDSN(url)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	return &Target{Kind: kind, Config: cfg, Version: version(ctx, cfg), stop: stop}, nil
}

// version asks the server what it is; sqld tells at /version.
func version(ctx context.Context, cfg *tursoopt.Config) string {
	ep, err := EndpointOf(cfg)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := ep.Request(ctx, http.MethodGet, "version", nil)
	if err != nil {
		return ""
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyFromEnvironment}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return VersionText(resp.Header.Get("Content-Type"), string(body))
}

// VersionText is the answer to GET /version where it is a version, and empty
// where it is anything else, such as a web page.
func VersionText(contentType, body string) string {
	line := strings.TrimSpace(body)
	if len(line) > 100 || strings.ContainsAny(line, "<>{}\r\n") || !strings.ContainsAny(line, "0123456789") ||
		strings.Contains(contentType, "html") {
		return ""
	}
	return line
}

// ErrNotCountable says that a proxy in front of the database could not tell
// requests apart, or would not be let through.
var ErrNotCountable = errors.New("requests and bytes can be counted over plain http only")

func wrap(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }
