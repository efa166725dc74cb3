package hranahttp

import "github.com/turso-opt/turso-opt/internal/hrana"

// Level is the protocol version and encoding that a stream is spoken to in.
type Level uint8

const (
	// V2JSON is what every server has, so it is where a Client begins.
	V2JSON Level = iota
	V3JSON
	V3Protobuf
	levels
)

func (l Level) String() string {
	return [...]string{"v2 json", "v3 json", "v3 protobuf"}[l]
}

// V3 tells whether the level has is_autocommit, get_autocommit and cursors.
func (l Level) V3() bool { return l >= V3JSON }

// Encoding is how the level writes messages.
func (l Level) Encoding() hrana.Encoding {
	if l == V3Protobuf {
		return hrana.Protobuf
	}
	return hrana.JSON
}

func (l Level) path() string {
	return [...]string{"v2", "v3", "v3-protobuf"}[l]
}
