package shadow

import (
	"fmt"
	"testing"
)

// A text that is not known is compiled once. Most of that is SQLite's own work:
// FACTS of a plain prepare are about 10 us.
func BenchmarkAnalyzeCold(b *testing.B) {
	s := loaded(b, schemaOf(b, 1, exampleSchema...))
	m := s.current.Load()
	for name, sql := range map[string]string{
		"point":   `SELECT id, a, b, c FROM t WHERE id = ?`,
		"join":    `SELECT va.a, n.y, count(*) FROM va JOIN n ON n.x = va.id WHERE n.y > ? GROUP BY va.a ORDER BY 3 DESC LIMIT 10`,
		"insert":  `INSERT INTO u(id, name, v) VALUES (?, ?, ?)`,
		"update":  `UPDATE t SET a = ?, b = ? WHERE id = ?`,
		"cascade": `DELETE FROM p WHERE id = ?`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a := m.analyse(sql); a.Unknown {
					b.Fatal(a.Reason)
				}
			}
		})
	}
}

// A known one is a lookup in a map under a read lock, and allocates nothing.
func BenchmarkAnalyzeKnown(b *testing.B) {
	s := loaded(b, schemaOf(b, 1, exampleSchema...))
	sqls := make([]string, 512)
	for i := range sqls {
		sqls[i] = fmt.Sprintf("SELECT id, a, b, c, %d FROM t WHERE id = ?", i)
		s.Analyze(sqls[i])
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.Analyze(sqls[i%len(sqls)])
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				s.Analyze(sqls[i%len(sqls)])
			}
		})
	})
}

func BenchmarkLoad(b *testing.B) {
	for _, tables := range []int{10, 200} {
		b.Run(fmt.Sprint(tables, " tables"), func(b *testing.B) {
			sqls := make([]string, 0, 2*tables)
			for i := range tables {
				sqls = append(sqls,
					fmt.Sprintf("CREATE TABLE t%d(id INTEGER PRIMARY KEY, a TEXT, b INT, c REAL)", i),
					fmt.Sprintf("CREATE INDEX i%d ON t%d(a)", i, i))
			}
			schema := schemaOf(b, 1, sqls...)
			s := New()
			defer s.Close()
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Load(schema); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
