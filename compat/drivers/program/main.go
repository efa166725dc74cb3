// Command program links turso-opt beside the SQLite drivers that its build tags
// name, and prints which drivers are registered and which SQLite a local
// database gets. Two packages that register one name panic before main.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"strings"

	tursoopt "github.com/turso-opt/turso-opt"
)

func main() {
	log.SetFlags(0)
	fmt.Println(strings.Join(sql.Drivers(), " "))
	db, err := sql.Open(tursoopt.DriverName, ":memory:")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if _, err := db.Exec("CREATE TABLE t (n INTEGER PRIMARY KEY)"); err != nil {
		log.Fatal(err)
	}
	res, err := db.Exec("INSERT INTO t VALUES (?)", 7)
	if err != nil {
		log.Fatal(err)
	}
	id, err := res.LastInsertId()
	if err != nil {
		log.Fatal(err)
	}
	var n int
	if err := db.QueryRow("SELECT n FROM t").Scan(&n); err != nil {
		log.Fatal(err)
	}
	fmt.Println(id, n)
}
