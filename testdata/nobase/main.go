// Command nobase prints what a program hears that opens databases without having
// imported what they need: an SQLite driver, or libsql-client-go.
package main

import (
	"fmt"

	tursoopt "github.com/turso-opt/turso-opt"
)

func main() {
	for _, dsn := range []string{"file:test.db", ":memory:", "ws://127.0.0.1:1", "http://127.0.0.1:1?base=libsql-client-go"} {
		cfg, err := tursoopt.ParseDSN(dsn)
		if err != nil {
			fmt.Println(err)
			continue
		}
		_, err = tursoopt.NewConnector(cfg)
		fmt.Println(err)
	}
}
