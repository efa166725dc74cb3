module github.com/turso-opt/turso-opt/bench/peers

go 1.26.0

replace github.com/turso-opt/turso-opt => ../..

require github.com/turso-opt/turso-opt v0.0.0

require (
	github.com/antlr4-go/antlr/v4 v4.13.0 // indirect
	github.com/coder/websocket v1.8.12 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	github.com/tursodatabase/libsql-client-go v0.0.0-20260528064733-9d5d30a29a60 // indirect
	golang.org/x/exp v0.0.0-20240325151524-a685a6edb6d8 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)
