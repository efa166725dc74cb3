package tursoopt_test

import (
	"context"
	"fmt"
	"log"
	"time"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/hranatest"
)

// slow is a Tracer that prints statements that have taken too long.
type slow struct{ than time.Duration }

func (s slow) StatementStart(ctx context.Context, _ tursoopt.StatementStart) context.Context {
	return ctx
}

func (s slow) StatementEnd(_ context.Context, e tursoopt.StatementEnd) {
	if e.Took > s.than {
		fmt.Println("slow:", e.SQL)
	}
}

func ExampleTracer() {
	server, err := hranatest.Start(hranatest.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	cfg, err := tursoopt.ParseDSN(server.URL())
	if err != nil {
		log.Fatal(err)
	}
	cfg.Tracer = slow{than: 50 * time.Millisecond}
	db, err := tursoopt.OpenDB(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT 1").Scan(&n); err != nil {
		log.Fatal(err)
	}
	server.Delay(60 * time.Millisecond)
	if err := db.QueryRow("SELECT length('a secret')").Scan(&n); err != nil {
		log.Fatal(err)
	}
	// Output: slow: SELECT length(?)
}
