// Package golibsql tests turso-opt beside and around go-libsql, the cgo client
// with embedded replicas. Both go-libsql and libsql-client-go register the
// driver "libsql", so the tests need the build tag tursoopt_slim:
//
//	GOWORK=off CGO_ENABLED=1 go test -tags=tursoopt_slim ./...
//
// It is a module of its own, and not in go.work: the library weighs 40 MB.
package golibsql
