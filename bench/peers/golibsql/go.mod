module github.com/turso-opt/turso-opt/bench/peers/golibsql

go 1.26.0

replace (
	github.com/turso-opt/turso-opt => ../../..
	github.com/turso-opt/turso-opt/bench/peers => ../
)

require (
	github.com/turso-opt/turso-opt/bench/peers v0.0.0
	github.com/tursodatabase/go-libsql v0.0.0-20251219133454-43644db490ff
)

require (
	github.com/antlr4-go/antlr/v4 v4.13.0 // indirect
	github.com/libsql/sqlite-antlr4-parser v0.0.0-20240327125255-dbf53b6cbf06 // indirect
	golang.org/x/exp v0.0.0-20240325151524-a685a6edb6d8 // indirect
)
