package tursoopt

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// CompressionStats are those of CompressColumns. Values that a program compresses
// by Compressed and its kin are not among them, but for frames that are read.
type CompressionStats struct {
	// Columns has an entry for each of Config.CompressColumns, by name, and one
	// with the name "" for frames that were read under another column's name.
	Columns []ColumnCompression
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
