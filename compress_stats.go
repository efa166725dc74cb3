package tursoopt

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/turso-opt/turso-opt/internal/frame"
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
	// Algorithms has an entry for each that a value was stored or read by. Together
	// they are what Columns are, but for the time that was spent on values which did
	// not get shorter.
	Algorithms []AlgorithmCompression
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

// FrameStats count values that are stored compressed, as frames.
type FrameStats struct {
	// Stored counts values sent as frames, StoredFrom their bytes before and
	// StoredTo after it.
	Stored, StoredFrom, StoredTo uint64
	// Read counts frames read, ReadFrom their bytes and ReadTo those of their
	// values.
	Read, ReadFrom, ReadTo uint64
	// StoreTime and ReadTime are what compressing and decompressing took.
	StoreTime, ReadTime time.Duration
}

// ColumnCompression is one column's share of CompressionStats. A frame that is read
// is counted for the column whose name the result's column has.
type ColumnCompression struct {
	// Column is "table.column" as in the Config.
	Column string
	FrameStats
	// Skipped counts text and blobs that were stored as they are, by the reason.
	Skipped map[string]uint64
}

// AlgorithmCompression is one algorithm's share of CompressionStats.
type AlgorithmCompression struct {
	// Algorithm is AlgorithmLZ4, AlgorithmZstd, or "stored" for values that are in
	// frames as they are.
	Algorithm string
	FrameStats
}

// frameCounters are what FrameStats are made of.
type frameCounters struct {
	stored, storedFrom, storedTo atomic.Uint64
	read, readFrom, readTo       atomic.Uint64
	packTime, unpackTime         atomic.Int64
}

func (c *frameCounters) storedOne(from, to int, took time.Duration) {
	c.stored.Add(1)
	c.storedFrom.Add(uint64(from))
	c.storedTo.Add(uint64(to))
	c.packTime.Add(int64(took))
}

func (c *frameCounters) readOne(from, to int, took time.Duration) {
	c.read.Add(1)
	c.readFrom.Add(uint64(from))
	c.readTo.Add(uint64(to))
	c.unpackTime.Add(int64(took))
}

func (c *frameCounters) stats() FrameStats {
	return FrameStats{
		Stored: c.stored.Load(), StoredFrom: c.storedFrom.Load(), StoredTo: c.storedTo.Load(),
		Read: c.read.Load(), ReadFrom: c.readFrom.Load(), ReadTo: c.readTo.Load(),
		StoreTime: time.Duration(c.packTime.Load()), ReadTime: time.Duration(c.unpackTime.Load()),
	}
}

// compressCounters are what ColumnCompression is made of.
type compressCounters struct {
	frameCounters

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
	return ColumnCompression{Column: name, FrameStats: c.stats(), Skipped: maps.Clone(c.skipped)}
}

func (z *compression) stats() (s CompressionStats) {
	if z == nil {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(z.columns)) {
		s.Columns = append(s.Columns, z.columns[name].snapshot(name))
	}
	s.Columns = append(s.Columns, z.others.snapshot(""))
	for a := range z.by {
		if n := z.by[a].stats(); n.Stored > 0 || n.Read > 0 {
			s.Algorithms = append(s.Algorithms, AlgorithmCompression{frame.Algorithm(a).String(), n})
		}
	}
	return s
}
