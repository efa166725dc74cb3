package sqltext

import (
	"fmt"
	"hash/maphash"
	"testing"
)

const typicalSQL = "SELECT u.id, u.name, count(p.id) AS posts FROM users AS u LEFT JOIN posts AS p ON p.user_id = u.id " +
	"WHERE u.id = ? AND u.state IN ('active', 'new') GROUP BY u.id ORDER BY posts DESC LIMIT ?"

// BenchmarkCacheGet is a hit: no allocation. Its floor is one hash of the text,
// because that is what a text is found by; BenchmarkHash measures it.
func BenchmarkCacheGet(b *testing.B) {
	for _, c := range []struct{ name, sql string }{
		{"typical", typicalSQL},
		{"short", "SELECT a FROM t WHERE id = ?"},
		{"semicolon", typicalSQL + ";"},
		{"sqlcommenter", typicalSQL + " /*traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'*/"},
	} {
		b.Run(c.name, func(b *testing.B) {
			cache := NewCache(512)
			for i := range 512 {
				cache.Get(fmt.Sprintf("SELECT %d", i))
			}
			cache.Get(c.sql)
			b.ReportAllocs()
			for b.Loop() {
				cache.Get(c.sql)
			}
		})
	}
}

// BenchmarkCacheGetParallel must not be slower than one goroutine alone.
func BenchmarkCacheGetParallel(b *testing.B) {
	cache := NewCache(512)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			cache.Get(typicalSQL)
		}
	})
}

// BenchmarkHash is the floor of BenchmarkCacheGet/typical.
func BenchmarkHash(b *testing.B) {
	seed := maphash.MakeSeed()
	sql := typicalSQL
	for b.Loop() {
		maphash.String(seed, sql)
	}
}

// BenchmarkParse is what a text that is not remembered costs. Its floor is the
// look at every byte that BenchmarkTokens measures, and five allocations: the
// Text, its Stmts, the Note, Params and where they stand.
func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, sql string }{
		{"typical", typicalSQL},
		{"insert", "INSERT INTO users (id, name, state) VALUES (?, ?, ?)"},
		{"begin", "BEGIN IMMEDIATE"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.sql)))
			for b.Loop() {
				Parse(c.sql)
			}
		})
	}
}

// BenchmarkTokens is the tokenizer's part of BenchmarkParse/typical.
func BenchmarkTokens(b *testing.B) {
	b.SetBytes(int64(len(typicalSQL)))
	for b.Loop() {
		sc := scanner{sql: typicalSQL, nul: -1}
		for sc.token().class != end {
		}
	}
}

func BenchmarkRedact(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Redact(typicalSQL)
	}
}
