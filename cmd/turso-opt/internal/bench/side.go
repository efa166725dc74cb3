package bench

import (
	"database/sql"
	"errors"
	"net/http"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/tursodatabase/libsql-client-go/libsql"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// maxConns caps the connections of both sides: sqld holds 128 streams, and
// libsql-client-go's queries fail when more of them are asked for.
const maxConns = 100

// A Side is one of the drivers that are compared.
type Side struct {
	// Name is what tables call it.
	Name string
	open func(cfg *tursoopt.Config) (*sql.DB, error)
}

// The two sides of most scenarios.
var (
	Base = Side{"base", openBase}
	Ours = Side{"ours", tursoopt.OpenDB}
)

// oursWith is Ours with another configuration.
func oursWith(name string, change func(*tursoopt.Config)) Side {
	return Side{name, func(cfg *tursoopt.Config) (*sql.DB, error) {
		cfg = cfg.Clone()
		change(cfg)
		return tursoopt.OpenDB(cfg)
	}}
}

// Open gives a pool that fits so many goroutines: database/sql's own limit of
// two idle connections would have most of them connect for every statement.
func (s Side) Open(cfg *tursoopt.Config, goroutines int) (*sql.DB, error) {
	db, err := s.open(cfg)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(min(goroutines, maxConns))
	return db, nil
}

// openBase opens libsql-client-go itself, not this driver around it.
func openBase(cfg *tursoopt.Config) (*sql.DB, error) {
	ep, err := target.EndpointOf(cfg)
	if err != nil {
		return nil, err
	}
	var opts []libsql.Option
	if cfg.AuthToken != "" {
		opts = append(opts, libsql.WithAuthToken(cfg.AuthToken))
	}
	if cfg.RemoteEncryptionKey != "" {
		opts = append(opts, libsql.WithRemoteEncryptionKey(cfg.RemoteEncryptionKey))
	}
	if cfg.Proxy != "" {
		opts = append(opts, libsql.WithProxy(cfg.Proxy))
	}
	c, err := libsql.NewConnector(ep.Direct(), opts...)
	if err != nil {
		return nil, errors.New("libsql-client-go refuses the URL") // the cause quotes it
	}
	return sql.OpenDB(c), nil
}

// CloseBase closes the connections that libsql-client-go leaves open: it uses
// the process's default HTTP client.
func CloseBase() { http.DefaultClient.CloseIdleConnections() }
