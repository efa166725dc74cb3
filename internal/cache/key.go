package cache

import (
	"bytes"
	"hash/maphash"
	"math"
	"strings"

	"github.com/turso-opt/turso-opt/internal/exec"
)

// A Key is what a result is found by: a statement's text and its arguments, each
// with its type, since SQLite tells 1, 1.0, '1' and x'31' apart.
type Key struct {
	SQL  string
	Args []exec.Value
}

// equal compares all of two keys; a hash decides nothing.
func (k *Key) equal(o *Key) bool {
	if k.SQL != o.SQL || len(k.Args) != len(o.Args) {
		return false
	}
	for i := range k.Args {
		if !same(&k.Args[i], &o.Args[i]) {
			return false
		}
	}
	return true
}

// same tells whether two values are one to SQLite, bit by bit: 0.0 and -0.0 are
// not, since text of them differs.
func same(a, b *exec.Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case exec.Integer:
		return a.Int == b.Int
	case exec.Float:
		return math.Float64bits(a.Float) == math.Float64bits(b.Float)
	case exec.Text:
		return a.Text == b.Text
	case exec.Blob:
		return bytes.Equal(a.Blob, b.Blob)
	}
	return true
}

// hash is equal for equal keys.
func (k *Key) hash(seed maphash.Seed) uint64 {
	h := mix(maphash.String(seed, k.SQL))
	for i := range k.Args {
		v := &k.Args[i]
		var x uint64
		switch v.Kind {
		case exec.Integer:
			x = uint64(v.Int)
		case exec.Float:
			x = math.Float64bits(v.Float)
		case exec.Text:
			x = maphash.String(seed, v.Text)
		case exec.Blob:
			x = maphash.Bytes(seed, v.Blob)
		}
		h = mix(h ^ mix(x^mix(uint64(v.Kind)+1)))
	}
	return h
}

// clone is a key that shares nothing that its caller may change.
func (k *Key) clone() Key {
	c := Key{SQL: strings.Clone(k.SQL)}
	if len(k.Args) > 0 {
		c.Args = append([]exec.Value(nil), k.Args...)
	}
	for i := range c.Args {
		v := &c.Args[i]
		v.Text, v.Blob = strings.Clone(v.Text), bytes.Clone(v.Blob)
	}
	return c
}

// valueBytes is what an exec.Value takes without what it points to.
const valueBytes = 64

// size is what a clone takes in memory, in bytes.
func (k *Key) size() int64 {
	n := len(k.SQL)
	for i := range k.Args {
		n += valueBytes + len(k.Args[i].Text) + len(k.Args[i].Blob)
	}
	return int64(n)
}

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
