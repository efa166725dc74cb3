// Package http1 is an HTTP/1.1 client reduced to what a database driver needs:
// requests whose body is in memory, sent and answered on the caller's own
// goroutine, over connections that are kept and looked at before they are used.
//
// It exists beside net/http because of three things that net/http cannot be made
// to do. It says exactly whether a request has left in full. It finds out that
// an idle connection is dead before a request is put on it. And it costs no
// goroutine for a connection and hardly any memory for a request: on loopback a
// round trip takes a third of the time that http.Transport takes, and 1
// allocation where that makes 45.
//
// It does not follow redirects, keep cookies, decompress, use proxies or speak
// HTTP/2; what needs these goes through net/http.
package http1
