// Command golibsql runs one loop through go-libsql: golibsql URL KIND CALLERS
// SECONDS. It is a module of its own because go-libsql and libsql-client-go
// register the same driver name, and because its library weighs 40 MB.
package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"os"

	_ "github.com/tursodatabase/go-libsql"

	"github.com/turso-opt/turso-opt/bench/peers/loops"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	if len(os.Args) < 2 {
		return errors.New("usage: golibsql URL KIND CALLERS SECONDS")
	}
	db, err := sql.Open("libsql", os.Args[1])
	if err != nil {
		return err
	}
	defer db.Close()
	return loops.Main(context.Background(), db, "github.com/tursodatabase/go-libsql", os.Args[2:], os.Stdout)
}
