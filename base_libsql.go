//go:build !tursoopt_slim

package tursoopt

import (
	"database/sql/driver"
	"errors"
	"net/http"

	"github.com/tursodatabase/libsql-client-go/libsql"
)

// libsqlConnector is the Connector of libsql-client-go for cfg.
func libsqlConnector(cfg *Config) (driver.Connector, error) {
	switch {
	case cfg.TokenSource != nil:
		return nil, errors.New("turso-opt: TokenSource: libsql-client-go takes a fixed token only")
	case cfg.TLSConfig != nil, cfg.DialContext != nil:
		return nil, errors.New("turso-opt: TLSConfig, DialContext: libsql-client-go always uses http.DefaultClient")
	case cfg.Encoding != "" && cfg.Encoding != EncodingAuto:
		return nil, errors.New("turso-opt: encoding: libsql-client-go has no choice of encodings")
	}
	var opts []libsql.Option
	if cfg.AuthToken != "" {
		opts = append(opts, libsql.WithAuthToken(cfg.AuthToken))
	}
	u, _, err := cfg.remote()
	if err != nil {
		return nil, err
	}
	if cfg.Proxy != "" {
		opts = append(opts, libsql.WithProxy(cfg.Proxy))
		// The proxy's scheme is not that of the database.
		own := *cfg
		own.Proxy = ""
		if u, _, err = own.remote(); err != nil {
			return nil, err
		}
	}
	if cfg.RemoteEncryptionKey != "" {
		opts = append(opts, libsql.WithRemoteEncryptionKey(cfg.RemoteEncryptionKey))
	}
	if len(cfg.Header) > 0 {
		headers := make(map[string]string, len(cfg.Header))
		for name := range cfg.Header {
			headers[http.CanonicalHeaderKey(name)] = cfg.Header.Get(name)
		}
		opts = append(opts, libsql.WithRequestHeaders(headers))
	}
	base, err := libsql.NewConnector(u.String(), opts...)
	if err != nil {
		// Its errors quote the URL, which may hold a password.
		return nil, errors.New("turso-opt: libsql-client-go refuses the configuration")
	}
	return base, nil
}
