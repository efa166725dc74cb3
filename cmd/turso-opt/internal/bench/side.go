package bench

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/tursodatabase/libsql-client-go/libsql"

	"github.com/turso-opt/turso-opt/cmd/turso-opt/internal/target"
)

// maxConns caps the connections of the base: sqld holds 128 streams, and
// libsql-client-go's queries fail when more of them are asked for.
const maxConns = 100

// A Side is one of the drivers that are compared.
type Side struct {
	// Name is what tables call it.
	Name string
	open func(cfg *tursoopt.Config) (*sql.DB, error)
	// tune completes the configuration where that depends on the tables' names; may
	// be nil.
	tune func(cfg *tursoopt.Config, w World)
	// conns caps the connections; with 0 there are as many as goroutines.
	conns int
	// sizesItself: the size of its pool is not to be set.
	sizesItself bool
	// work is the side's own way to do what the scenario's Work does, nil if it
	// has none.
	work func(w World) Work
	// raw makes it a raw pipe for statements of this kind; it opens nothing.
	raw statements
	// curve is the line of a plot that the side is a point of, empty for none. All
	// of them share one pool.
	curve string
	// goroutines replaces the scenario's number for a point of a curve.
	goroutines int
	// at is where on its curve the point is; with 0 it is goroutines.
	at int
}

// The two sides of most scenarios.
var (
	Base = Side{Name: "base", open: openBase, conns: maxConns}
	Ours = Side{Name: "ours", open: openOurs}
)

// oursWith is Ours with another configuration.
func oursWith(name string, change func(*tursoopt.Config)) Side {
	return Side{Name: name, open: func(cfg *tursoopt.Config) (*sql.DB, error) {
		cfg = cfg.Clone()
		change(cfg)
		return openOurs(cfg)
	}}
}

// by is the side doing the work in another way.
func (s Side) by(work func(w World) Work) Side {
	s.work = work
	return s
}

// named is the side under another name.
func (s Side) named(name string) Side {
	s.Name = name
	return s
}

// points are the side with each of the numbers of goroutines, as a curve.
func (s Side) points(goroutines ...int) (points []Side) {
	for _, n := range goroutines {
		p := s.named(fmt.Sprintf("%s, %d", s.Name, n))
		p.curve, p.goroutines = s.Name, n
		points = append(points, p)
	}
	return points
}

// across are the side doing the work for each of the numbers, as a curve.
func (s Side) across(work func(n int) func(w World) Work, numbers ...int) (points []Side) {
	for _, n := range numbers {
		p := s.named(fmt.Sprintf("%s, %d", s.Name, n)).by(work(n))
		p.curve, p.at = s.Name, n
		points = append(points, p)
	}
	return points
}

// pool names the pool that the side uses.
func (s Side) pool() string {
	if s.curve != "" {
		return s.curve
	}
	return s.Name
}

// Open gives a pool that fits so many goroutines: database/sql's own limit of
// two idle connections would have most of them connect for every statement.
func (s Side) Open(cfg *tursoopt.Config, goroutines int) (*sql.DB, error) {
	db, err := s.open(cfg)
	if err != nil || s.sizesItself {
		return db, err
	}
	if s.conns > 0 {
		goroutines = min(goroutines, s.conns)
		db.SetMaxOpenConns(s.conns)
	}
	db.SetMaxIdleConns(goroutines)
	return db, nil
}

// openIn is Open for a side that works in a World.
func (s Side) openIn(cfg *tursoopt.Config, w World, goroutines int) (*sql.DB, error) {
	if s.tune != nil {
		cfg = cfg.Clone()
		s.tune(cfg, w)
	}
	return s.Open(cfg, goroutines)
}

// openOurs leaves the pool's size alone, as sql.Open does: a connection of this
// driver is nothing but a session.
func openOurs(cfg *tursoopt.Config) (*sql.DB, error) {
	c, err := tursoopt.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

// openBase opens libsql-client-go itself, not this driver around it.
func openBase(cfg *tursoopt.Config) (*sql.DB, error) {
	c, err := baseConnector(cfg)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

func baseConnector(cfg *tursoopt.Config) (driver.Connector, error) {
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
	return c, nil
}

// CloseBase closes the connections that libsql-client-go leaves open: it uses
// the process's default HTTP client.
func CloseBase() { http.DefaultClient.CloseIdleConnections() }
