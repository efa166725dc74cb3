// Command drivers prints what a program that imports nothing but the root
// package has registered with database/sql.
package main

import (
	"database/sql"
	"fmt"

	_ "github.com/turso-opt/turso-opt"
)

func main() {
	for _, name := range sql.Drivers() {
		fmt.Println(name)
	}
}
