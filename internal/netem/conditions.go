package netem

import "time"

// Conditions say how the network behaves. The zero value is a network that
// costs nothing. All connections of a Proxy share its bandwidth.
type Conditions struct {
	// RTT is the round-trip time: half of it is added in each direction, and a
	// new connection takes one more before its first byte travels, as TCP's
	// handshake would.
	RTT time.Duration
	// UpBytesPerSecond and DownBytesPerSecond are the bandwidth towards the
	// server and back; 0 is no limit.
	UpBytesPerSecond, DownBytesPerSecond int64
	// IdleDrop is how long a connection may carry nothing before the middlebox
	// forgets it: what is sent later vanishes, and nobody is told. 0 is never.
	IdleDrop time.Duration
	// Paused holds everything back until it is false again; nothing is lost.
	Paused bool
	// Refuse resets every new connection at once.
	Refuse bool
}

// Counts are totals since the Proxy started, as seen on the client's side.
type Counts struct {
	// Conns are the connections that clients have opened, refused ones included.
	Conns int64
	// Open are those that have not ended, dropped ones included.
	Open int64
	// Requests are the HTTP/1.x request heads that clients have sent in full. On
	// a connection that speaks anything else none are counted.
	Requests int64
	// BytesUp were read from clients, BytesDown written to them.
	BytesUp, BytesDown int64
}

// Sub is what has happened since an earlier snapshot; Open stays as it is.
func (c Counts) Sub(earlier Counts) Counts {
	c.Conns -= earlier.Conns
	c.Requests -= earlier.Requests
	c.BytesUp -= earlier.BytesUp
	c.BytesDown -= earlier.BytesDown
	return c
}
