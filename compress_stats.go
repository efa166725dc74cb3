package tursoopt

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/hrana"
)

// CompressionStats are about bytes that travel: those of all requests and answers,
// and of the values of CompressColumns. Values that a program compresses by
// Compressed and its kin are not among these, but for frames that are read.
type CompressionStats struct {
	// Wire is zero on a base other than the native one.
	Wire WireStats
	// Columns has an entry for each of Config.CompressColumns, by name, and one
	// with the name "" for frames that were read under another column's name.
	Columns []ColumnCompression
}

// WireStats count the bodies of requests and answers. The heads, TLS and pings are
// in RequestStats only.
type WireStats struct {
	// Sent is the length of what was sent, and TextSaved by how much it would have
	// been longer with every SQL text in it as often as it was run.
	Sent, TextSaved uint64
	// Answers are by how they came.
	Answers []AnswerStats
	// Skipped counts answers that were not asked for compressed, by the reason.
	Skipped map[string]uint64
}

// AnswerStats are those of the answers in one encoding, "json" or "protobuf", and
// one coding of it, "plain", "gzip" or "zstd".
type AnswerStats struct {
	Encoding, Coding string
	// Count is how many there were, Received their length as they came and Raw when
	// they were decompressed, which has taken Time.
	Count, Received, Raw uint64
	Time                 time.Duration
}

func (c *Connector) wireStats(saved uint64) WireStats {
	n := c.client.Packing()
	w := WireStats{Sent: n.Sent, TextSaved: saved, Skipped: n.Skipped}
	for _, a := range n.Answers {
		name := EncodingJSON
		if a.Encoding == hrana.Protobuf {
			name = EncodingProtobuf
		}
		w.Answers = append(w.Answers, AnswerStats{name, a.Coding.String(), a.Answers, a.Received, a.Raw, a.Took})
	}
	return w
}

// ColumnCompression is one column's share of CompressionStats.
type ColumnCompression struct {
	// Column is "table.column" as in the Config.
	Column string
	// Stored counts values sent as frames, StoredFrom their bytes before and
	// StoredTo after it.
	Stored, StoredFrom, StoredTo uint64
	// Read counts frames read, ReadFrom their bytes and ReadTo those of their
	// values. A frame is counted for the column whose name the result's column has.
	Read, ReadFrom, ReadTo uint64
	// Skipped counts text and blobs that were stored as they are, by the reason.
	Skipped map[string]uint64
	// StoreTime and ReadTime are what compressing and decompressing took.
	StoreTime, ReadTime time.Duration
}

// compressCounters are what ColumnCompression is made of.
type compressCounters struct {
	stored, storedFrom, storedTo atomic.Uint64
	read, readFrom, readTo       atomic.Uint64
	packTime, unpackTime         atomic.Int64

	mu      sync.Mutex
	skipped map[string]uint64
}

func (c *compressCounters) skip(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.skipped == nil {
		c.skipped = map[string]uint64{}
	}
	c.skipped[why]++
}

func (c *compressCounters) snapshot(name string) ColumnCompression {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ColumnCompression{
		Column: name, Stored: c.stored.Load(), StoredFrom: c.storedFrom.Load(), StoredTo: c.storedTo.Load(),
		Read: c.read.Load(), ReadFrom: c.readFrom.Load(), ReadTo: c.readTo.Load(), Skipped: maps.Clone(c.skipped),
		StoreTime: time.Duration(c.packTime.Load()), ReadTime: time.Duration(c.unpackTime.Load()),
	}
}

func (z *compression) stats() (s CompressionStats) {
	if z == nil {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(z.columns)) {
		s.Columns = append(s.Columns, z.columns[name].snapshot(name))
	}
	s.Columns = append(s.Columns, z.others.snapshot(""))
	return s
}
