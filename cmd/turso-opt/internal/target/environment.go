package target

import (
	"errors"
	"net/url"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
)

// The environment variables that name a database, as Turso's own tools use them.
const (
	EnvURL   = "TURSO_DATABASE_URL"
	EnvToken = "TURSO_AUTH_TOKEN"
)

// ErrNoDatabase says that neither an argument nor the environment names one.
var ErrNoDatabase = errors.New("no database is given: name a DSN, or set " + EnvURL)

// ConfigFor reads dsn, or the environment's if it is empty. A DSN without a
// token gets the environment's, unless the environment names a database on
// another host: the token is that one's then, and nobody else is to see it.
func ConfigFor(dsn string, getenv func(string) string) (*tursoopt.Config, error) {
	envURL := getenv(EnvURL)
	if dsn == "" {
		if dsn = envURL; dsn == "" {
			return nil, ErrNoDatabase
		}
	}
	cfg, err := tursoopt.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	if token := getenv(EnvToken); token != "" && cfg.AuthToken == "" && sameHost(cfg.URL, envURL) {
		with := cfg.Clone()
		with.AuthToken = token
		// A token that cannot be sent is the same error as in a DSN.
		return tursoopt.ParseDSN(with.FormatDSN())
	}
	return cfg, nil
}

func sameHost(a, b string) bool {
	if b == "" {
		return true
	}
	ua, errA := url.Parse(a)
	ub, errB := url.Parse(b)
	return errA == nil && errB == nil && strings.EqualFold(ua.Host, ub.Host)
}
