package hranatest

import (
	"net/http"
	"time"
)

// Profile is whose manners a Server has.
type Profile uint8

const (
	// Sqld behaves as sqld 0.24.32, libSQL's own server, oddities included.
	Sqld Profile = iota
	// Cloud behaves as Turso Cloud documents itself: JSON only, an expired stream
	// is a 404, the replication index means nothing to a client.
	Cloud
	// V2 has what the smallest server has, tursodb's: POST /v2/pipeline with
	// execute and batch. Any other request in a pipeline, close included, is a
	// 500, and any other path a 404. Unlike tursodb 0.6 it keeps streams, each with
	// a connection of its own, and takes arguments by name.
	V2
)

func (p Profile) String() string {
	switch p {
	case Sqld:
		return "sqld"
	case Cloud:
		return "cloud"
	case V2:
		return "v2"
	}
	return "invalid"
}

// The defaults of Options, which are sqld's own figures.
const (
	// DefaultStreamIdle is how long a stream lives without a request.
	DefaultStreamIdle = 10 * time.Second
	// DefaultTxTimeout is the age at which a transaction that has written may be
	// taken away by another writer.
	DefaultTxTimeout = 5 * time.Second
	// DefaultMaxStreams is how many streams may be open at a time.
	DefaultMaxStreams = 128
	// DefaultOpenTimeout is how long a request waits for a stream to become free
	// when MaxStreams are open.
	DefaultOpenTimeout = time.Second
	// DefaultMaxResponse is the size in bytes of the largest answer to an execute
	// or a batch, estimated as sqld does. A cursor has no such limit.
	DefaultMaxResponse = 10_000_000
	// DefaultMaxValue is the size in bytes of the largest text or blob.
	DefaultMaxValue = 5_000_000
)

// Options say what server is started. The zero value is a server like sqld,
// without authentication, on a free port of the loopback interface, with an
// empty database in memory.
type Options struct {
	Profile Profile
	// Addr is where the server listens, as host:port. Empty means a free port on
	// 127.0.0.1.
	Addr string
	// Path is the SQLite file that holds the database; it is created if it is not
	// there, and stays. Empty means a database in memory that ends with the
	// Server.
	Path string
	// Token is what every request must carry as its bearer token, and ReadToken
	// another one that may only read. If both are empty nothing is asked for.
	Token, ReadToken string
	// Prefix stands before every path, such as "/dev/my-db", as it does where
	// namespaces are routed by path.
	Prefix string
	// BaseURL is the base_url of every answer: where a client is to send the
	// stream's next request. Empty means none; see also Server.SetBaseURL.
	BaseURL string
	// NullBatons: a stream that is left without a transaction and without stored
	// texts is closed at the end of the request, and the answer has no baton, as
	// Turso Cloud may do.
	NullBatons bool
	// StreamCodes: with the profile Cloud, an answer about a stream that is no
	// more carries a code and, if the server knows what became of it, the status
	// 410, as PROTOCOL.md has it since 2026. Without, all are a 404 with a
	// message alone, as before.
	StreamCodes bool

	// StreamIdle, TxTimeout, MaxStreams, OpenTimeout, MaxResponse and MaxValue
	// are as the constants named Default; zero means the default.
	StreamIdle  time.Duration
	TxTimeout   time.Duration
	MaxStreams  int
	OpenTimeout time.Duration
	MaxResponse int
	MaxValue    int

	// OnRequest is called with every request, refused ones too, before anything
	// else is done. It may read the body, which is in memory, and may be called
	// by several goroutines at once.
	OnRequest func(*http.Request)
}

// withDefaults is o with every zero replaced that means a default.
func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.StreamIdle == 0 {
		o.StreamIdle = DefaultStreamIdle
	}
	if o.TxTimeout == 0 {
		o.TxTimeout = DefaultTxTimeout
	}
	if o.MaxStreams == 0 {
		o.MaxStreams = DefaultMaxStreams
	}
	if o.OpenTimeout == 0 {
		o.OpenTimeout = DefaultOpenTimeout
	}
	if o.MaxResponse == 0 {
		o.MaxResponse = DefaultMaxResponse
	}
	if o.MaxValue == 0 {
		o.MaxValue = DefaultMaxValue
	}
	return o
}
