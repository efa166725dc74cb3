package tursoopt

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// isFile tells whether the database is a local SQLite file or memory.
func (c *Config) isFile() bool {
	return c.URL == ":memory:" || len(c.URL) >= 5 && strings.EqualFold(c.URL[:5], "file:")
}

// inMemory tells whether a file's DSN is of a database that is none: SQLite has one for each
// connection, or one that lives as long as some connection does.
func (c *Config) inMemory() bool {
	return strings.Contains(c.URL, ":memory:") || strings.EqualFold(c.URL, "file:") || strings.Contains(c.FileOptions, "mode=memory") ||
		strings.Contains(c.FileOptions, "vfs=memdb")
}

// validate refuses what no layer could honour. Its errors name the field's DSN
// parameter and hold no value.
func (c *Config) validate() error {
	switch c.Base {
	case "", BaseNative, BaseLibsql:
	default:
		return errors.New("turso-opt: base: want native or libsql-client-go")
	}
	switch c.Encoding {
	case "", EncodingAuto, EncodingJSON, EncodingProtobuf:
	default:
		return errors.New("turso-opt: encoding: want auto, json or protobuf")
	}
	if c.TxLock > TxExclusive {
		return errTxLock
	}
	if c.Lanes < 0 || c.Lanes > MaxLanes {
		return fmt.Errorf("turso-opt: lanes: %w", errLanes)
	}
	if !headerSafe(c.AuthToken) {
		return errors.New("turso-opt: authToken: contains a control character")
	}
	if !headerSafe(c.RemoteEncryptionKey) {
		return errors.New("turso-opt: remote_encryption_key: contains a control character")
	}
	if c.AuthToken != "" && c.TokenSource != nil {
		return errors.New("turso-opt: authToken: AuthToken and TokenSource exclude each other")
	}
	if err := c.validatePool(); err != nil {
		return err
	}
	if err := c.validateKeepAlive(); err != nil {
		return err
	}
	if err := c.validateCompression(); err != nil {
		return err
	}
	if err := c.validateCache(); err != nil {
		return err
	}
	if c.isFile() {
		return c.validateFile()
	}
	if c.FileOptions != "" {
		return errors.New("turso-opt: FileOptions are for file: and :memory: only")
	}
	_, _, err := c.remote()
	return err
}

func (c *Config) validateFile() error {
	rest, isURL := strings.CutPrefix(strings.ToLower(c.URL), "file://")
	switch {
	case isURL && !strings.HasPrefix(rest, "/"):
		return errors.New("turso-opt: URL: a file URL has one slash or three, not two")
	case strings.Contains(c.URL, "?"):
		return errors.New("turso-opt: URL: must not have a query")
	case c.TLS != nil:
		return errors.New("turso-opt: tls: has no meaning for a file")
	case c.Proxy != "":
		return errors.New("turso-opt: proxy: has no meaning for a file")
	case c.Base != "":
		return errors.New("turso-opt: base: has no meaning for a file")
	case c.RemoteEncryptionKey != "":
		return errors.New("turso-opt: remote_encryption_key: has no meaning for a file")
	}
	for pair := range strings.SplitSeq(c.FileOptions, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); pair != "" && (err != nil || !forSQLite(name)) {
			return errors.New("turso-opt: FileOptions: hold what is not for the SQLite driver")
		}
	}
	return nil
}

// remote is the URL that requests go to, with the scheme that TLS decides, and
// the Host header to send, empty where it is the URL's own. It follows libsql-client-go in what TLS
// may be combined with. Errors of url.Parse quote the URL and so are dropped.
func (c *Config) remote() (u *url.URL, host string, err error) {
	if strings.ContainsAny(c.URL, "?#") {
		return nil, "", errors.New("turso-opt: URL: must have neither a query nor a fragment (escape # as %23)")
	}
	if !headerSafe(c.URL) || strings.Contains(c.URL, " ") {
		return nil, "", errors.New("turso-opt: URL: contains a blank or a control character, such as a line feed at its end")
	}
	u, err = url.Parse(c.URL)
	switch {
	case err == nil && !strings.Contains(u.Host, "&"):
	case strings.Contains(c.URL, "&"):
		return nil, "", errors.New("turso-opt: URL: holds a &; the parameters begin with ?")
	default:
		return nil, "", errors.New("turso-opt: URL: not a valid URL (it is not shown, as it may hold secrets)")
	}
	switch u.Scheme {
	case "libsql", "turso":
		if c.TLS == nil || *c.TLS {
			u.Scheme = "https"
		} else if u.Port() == "" {
			return nil, "", errors.New("turso-opt: tls: tls=0 needs an explicit port in the URL")
		} else {
			u.Scheme = "http"
		}
	case "https", "wss":
		if c.TLS != nil && !*c.TLS {
			return nil, "", errors.New("turso-opt: tls: https and wss URLs cannot opt out of TLS")
		}
	case "http", "ws":
		if c.TLS != nil && *c.TLS {
			return nil, "", errors.New("turso-opt: tls: http and ws URLs cannot opt in to TLS")
		}
	default:
		return nil, "", errors.New("turso-opt: URL: want :memory: or a scheme of libsql, turso, https, http, wss, ws and file")
	}
	if u.Hostname() == "" {
		return nil, "", errors.New("turso-opt: URL: has no host")
	}
	ws := u.Scheme == "ws" || u.Scheme == "wss"
	if ws && c.Base == BaseNative {
		return nil, "", errors.New("turso-opt: base: ws and wss need base=libsql-client-go")
	}
	if c.Proxy == "" {
		return u, "", nil
	}
	if ws {
		return nil, "", errors.New("turso-opt: proxy: cannot be used with ws and wss")
	}
	p, err := url.Parse(c.Proxy)
	if err != nil || p.Hostname() == "" || p.Scheme != "" && p.Scheme != "http" && p.Scheme != "https" {
		return nil, "", errors.New("turso-opt: proxy: want an http or https URL")
	}
	host, u.Host = u.Host, p.Host
	if p.Scheme != "" {
		u.Scheme = p.Scheme
	}
	return u, host, nil
}

// headerSafe tells whether s can travel as an HTTP header's value.
func headerSafe(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}
