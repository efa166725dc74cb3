package tursoopt

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// dsnParams are the parameters in the order in which FormatDSN writes them.
var dsnParams = []string{
	"authToken", "auth_token", "jwt", "tls", "remote_encryption_key", "proxy", "base", "encoding",
	"stmt_cache", "coalesce", "group_commit", "lanes",
	"cache", "cache_lease", "cache_ttl", "cache_table_ttl", "stale_while_revalidate", "keepalive", "stale_after", "ping_timeout", "keepalive_idle_stop", "warm_conns",
	"pool_min", "pool_max", "retry", "_txlock", "connect_timeout", "timeout", "parse_time",
	"compress", "compress_columns", "compress_algorithm", "compress_min", "compress_guard",
}

// sqliteParams are those of SQLite's own URI file names.
var sqliteParams = []string{"cache", "mode", "vfs", "immutable", "nolock", "psow", "modeof"}

// ParseDSN reads a data source name: a URL whose query holds the parameters.
// Unknown and repeated parameters are errors. An error names the parameter and
// never holds the DSN, nor any value of it.
func ParseDSN(dsn string) (*Config, error) {
	base, query, _ := strings.Cut(dsn, "?")
	c := &Config{URL: base}
	seen := map[string]bool{}
	var rest []string
	for _, pair := range strings.Split(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, errors.New("turso-opt: a parameter's name is not well escaped")
		}
		if c.isFile() && forSQLite(name) && !ownCache(name, rawValue) {
			rest = append(rest, pair)
			continue
		}
		if !slices.Contains(dsnParams, name) {
			return nil, unknownParam(name, rawValue)
		}
		if seen[name] {
			return nil, fmt.Errorf("turso-opt: %s: given twice", name)
		}
		seen[name] = true
		value, err := url.QueryUnescape(rawValue)
		if err == nil && !c.isFile() && strings.Contains(rawValue, "#") {
			err = errors.New("fragment")
		}
		if err != nil {
			return nil, fmt.Errorf("turso-opt: %s: the value is not well escaped", name)
		}
		if err := c.set(name, value); err != nil {
			return nil, fmt.Errorf("turso-opt: %s: %w", name, err)
		}
	}
	c.FileOptions = strings.Join(rest, "&")
	if err := c.validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// forSQLite tells whether a file's parameter belongs to the SQLite driver: every
// _name does, _txlock too, as the drivers have their own.
func forSQLite(name string) bool {
	return strings.HasPrefix(name, "_") || slices.Contains(sqliteParams, name)
}

// ownCache tells whether a file's cache is this driver's: SQLite's own has other values.
func ownCache(name, value string) bool {
	if name != "cache" {
		return false
	}
	_, err := parseSize(value)
	return err == nil || value == "off"
}

// unknownParam names the parameter only where it cannot well be a piece of a
// token with an unescaped & in it.
func unknownParam(name, value string) error {
	what := "unknown parameter"
	plain := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z')
	}) < 0
	if plain && name != "" && len(name) <= 24 && value != "" {
		what += " " + name
	}
	return fmt.Errorf("turso-opt: %s; known are %s", what, strings.Join(dsnParams, ", "))
}

func (c *Config) set(name, value string) (err error) {
	switch name {
	case "authToken", "auth_token", "jwt":
		if value != "" && c.AuthToken != "" {
			return errors.New("give at most one of authToken, auth_token and jwt")
		}
		if value != "" {
			c.AuthToken = value
		}
	case "tls":
		// libsql-client-go takes an empty tls for none.
		if value != "" {
			c.TLS, err = parseSwitch(value)
		}
	case "remote_encryption_key":
		c.RemoteEncryptionKey = value
	case "proxy":
		c.Proxy = value
	case "base":
		c.Base = value
	case "encoding":
		c.Encoding = value
	case "stmt_cache":
		n, perr := strconv.ParseUint(value, 10, 31)
		if perr != nil {
			return errors.New("want a number of SQL texts, or 0 for none")
		}
		if c.StmtCache = int(n); n == 0 {
			c.StmtCache = -1
		}
	case "coalesce":
		c.Coalesce, err = parseSwitch(value)
	case "group_commit":
		var on *bool
		if on, err = parseSwitch(value); err == nil {
			c.GroupCommit = *on
		}
	case "lanes":
		if value == "auto" {
			break
		}
		n, perr := strconv.ParseUint(value, 10, 31)
		if perr != nil || n < 1 || n > MaxLanes {
			return errLanes
		}
		c.Lanes = int(n)
	case "cache":
		if value != "off" {
			if c.Cache, err = parseSize(value); err != nil {
				return errors.New("want off, or a size such as 64MiB")
			}
		}
	case "cache_lease":
		c.CacheLease, err = parsePositive(value)
	case "cache_ttl":
		c.CacheTTL, err = parsePositive(value)
	case "cache_table_ttl":
		c.CacheTableTTL, err = parseTableTTL(value)
	case "stale_while_revalidate":
		d, perr := time.ParseDuration(value)
		if perr != nil || d < 0 {
			return errors.New("want a duration such as 10s, or 0")
		}
		c.StaleWhileRevalidate = d
	case "keepalive":
		if value == "auto" {
			break
		}
		if c.KeepAlive, err = parseTimeout(value); err != nil {
			return errKeepAlive
		}
	case "stale_after":
		c.StaleAfter, err = parseTimeout(value)
	case "ping_timeout":
		if c.PingTimeout, err = parseTimeout(value); c.PingTimeout < 0 {
			return errors.New("want a duration such as 5s, above 0")
		}
	case "keepalive_idle_stop":
		c.KeepAliveIdleStop, err = parseTimeout(value)
	case "warm_conns":
		n, perr := strconv.ParseUint(value, 10, 31)
		if perr != nil || n > MaxWarmConns {
			return errWarmConns
		}
		if c.WarmConns = int(n); n == 0 {
			c.WarmConns = -1
		}
	case "pool_min":
		c.PoolMin, err = parsePoolSize(value)
	case "pool_max":
		c.PoolMax, err = parsePoolSize(value)
	case "retry":
		c.Retry, err = parseSwitch(value)
	case "_txlock":
		switch value {
		case "deferred":
			c.TxLock = TxDeferred
		case "immediate":
			c.TxLock = TxImmediate
		case "exclusive":
			c.TxLock = TxExclusive
		default:
			return errors.New("want deferred, immediate or exclusive")
		}
	case "connect_timeout":
		c.ConnectTimeout, err = parseTimeout(value)
	case "timeout":
		c.Timeout, err = parseTimeout(value)
	case "parse_time":
		c.ParseTime, err = parseSwitch(value)
	case "compress":
		c.Compress, err = parseCompress(value)
	case "compress_columns":
		c.CompressColumns = parseColumns(value)
	case "compress_algorithm":
		if _, err = algorithm(value); err == nil {
			c.CompressAlgorithm = value
		}
	case "compress_min":
		n, serr := parseSize(value)
		if serr != nil || n > math.MaxInt32 {
			return errSize
		}
		if c.CompressMin = int(n); n == 0 {
			c.CompressMin = -1
		}
	case "compress_guard":
		c.CompressGuard, err = parseSwitch(value)
	}
	return err
}

var errLanes = fmt.Errorf("want auto or a number from 1 to %d", MaxLanes)

func parseSwitch(s string) (*bool, error) {
	var v bool
	switch s {
	case "1", "on", "true":
		v = true
	case "0", "off", "false":
	default:
		return nil, errors.New("want on or off, 1 or 0, true or false")
	}
	return &v, nil
}

func parsePoolSize(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n == 0 {
		return 0, errors.New("want a number of connections")
	}
	return int(n), nil
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a duration such as 10s, or 0 for no limit")
	}
	if d == 0 {
		return -1, nil
	}
	return d, nil
}

// FormatDSN is the DSN that ParseDSN reads back as the same Config, but for the
// fields that have no parameter. It holds the token, the key and the URL's
// password in the clear; for logs there is String.
func (c *Config) FormatDSN() string {
	var b strings.Builder
	b.WriteString(c.URL)
	sep := byte('?')
	raw := func(pair string) {
		b.WriteByte(sep)
		b.WriteString(pair)
		sep = '&'
	}
	add := func(name, value string) {
		if value != "" {
			raw(name + "=" + url.QueryEscape(value))
		}
	}
	add("authToken", c.AuthToken)
	add("tls", formatSwitch(c.TLS, "1", "0"))
	add("remote_encryption_key", c.RemoteEncryptionKey)
	add("proxy", c.Proxy)
	add("base", c.Base)
	add("encoding", c.Encoding)
	if c.StmtCache != 0 {
		add("stmt_cache", strconv.Itoa(max(c.StmtCache, 0)))
	}
	add("coalesce", formatSwitch(c.Coalesce, "on", "off"))
	if c.GroupCommit {
		add("group_commit", "on")
	}
	if c.Lanes != 0 {
		add("lanes", strconv.Itoa(c.Lanes))
	}
	if c.Cache != 0 {
		add("cache", formatSize(c.Cache))
	}
	add("cache_lease", formatDuration(c.CacheLease))
	add("cache_ttl", formatDuration(c.CacheTTL))
	add("cache_table_ttl", formatTableTTL(c.CacheTableTTL))
	add("stale_while_revalidate", formatDuration(c.StaleWhileRevalidate))
	add("keepalive", formatTimeout(c.KeepAlive))
	add("stale_after", formatTimeout(c.StaleAfter))
	add("ping_timeout", formatTimeout(c.PingTimeout))
	add("keepalive_idle_stop", formatTimeout(c.KeepAliveIdleStop))
	if c.WarmConns != 0 {
		add("warm_conns", strconv.Itoa(max(c.WarmConns, 0)))
	}
	if c.PoolMin != 0 {
		add("pool_min", strconv.Itoa(c.PoolMin))
	}
	if c.PoolMax != 0 {
		add("pool_max", strconv.Itoa(c.PoolMax))
	}
	add("retry", formatSwitch(c.Retry, "on", "off"))
	if c.TxLock != TxDefault {
		add("_txlock", c.TxLock.String())
	}
	add("connect_timeout", formatTimeout(c.ConnectTimeout))
	add("timeout", formatTimeout(c.Timeout))
	add("parse_time", formatSwitch(c.ParseTime, "on", "off"))
	add("compress", c.Compress)
	add("compress_columns", strings.Join(c.CompressColumns, ","))
	add("compress_algorithm", c.CompressAlgorithm)
	if c.CompressMin != 0 {
		add("compress_min", formatSize(int64(c.CompressMin)))
	}
	add("compress_guard", formatSwitch(c.CompressGuard, "on", "off"))
	if c.FileOptions != "" {
		raw(c.FileOptions)
	}
	return b.String()
}

func formatSwitch(v *bool, on, off string) string {
	switch {
	case v == nil:
		return ""
	case *v:
		return on
	}
	return off
}

func formatTimeout(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return max(d, 0).String()
}

func formatDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// hidden stands for what is not shown, as in url.URL.Redacted.
const hidden = "xxxxx"

// String is the DSN with token, key, passwords and the SQLite driver's own
// options replaced. It is for people, not for ParseDSN.
func (c Config) String() string {
	c.URL, c.Proxy = redactURL(c.URL), redactURL(c.Proxy)
	if c.AuthToken != "" {
		c.AuthToken = hidden
	}
	if c.RemoteEncryptionKey != "" {
		c.RemoteEncryptionKey = hidden
	}
	if c.FileOptions != "" {
		c.FileOptions = hidden // may hold _auth_pass or _pragma=key(...)
	}
	return c.FormatDSN()
}

// GoString keeps %#v from printing what String hides.
func (c Config) GoString() string { return "tursoopt.Config(" + c.String() + ")" }

// LogValue is String, for log/slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// redactURL hides a password, a user without one, who may be a token, and
// whatever follows ? or #, where a URL must have nothing: somebody has put a
// whole DSN there.
func redactURL(s string) string {
	rest := ""
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s, rest = s[:i], s[i:i+1]+hidden
	}
	if !strings.Contains(s, "@") {
		return s + rest
	}
	u, err := url.Parse(s)
	if err != nil {
		return "invalid-url"
	}
	if u.User != nil {
		if _, ok := u.User.Password(); !ok {
			u.User = url.User(hidden)
		}
	}
	return u.Redacted() + rest
}
