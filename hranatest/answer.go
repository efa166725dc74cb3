package hranatest

import (
	"bytes"
	"net/http"
)

// An answer is kept until a fault has spoilt it.
type answer struct {
	head   http.Header
	status int
	body   bytes.Buffer
}

var _ http.ResponseWriter = (*answer)(nil)

func (a *answer) Header() http.Header { return a.head }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
