package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tursoopt "github.com/turso-opt/turso-opt"
)

// jsonOnly tells whether answers come in JSON, which has no infinities.
func (m mode) jsonOnly() bool {
	return m.native && (m.params == "encoding=json" || strings.HasPrefix(m.name, "embedded cloud") || m.v2)
}

// upstream: the mode is libsql-client-go itself.
func (m mode) upstream() bool { return m.params == "base=libsql-client-go" }

// sent is how many requests have reached the server, as the server or, for
// sqld, the driver counts them. Some travel beside the program: where there must
// be none, look before there was any.
func (e *env) sent(t testing.TB, db *sql.DB) uint64 {
	t.Helper()
	if e.embedded != nil {
		return uint64(e.embedded.Stats().Total())
	}
	s, ok := tursoopt.StatsOf(db)
	if !ok {
		t.Fatal("no statistics")
	}
	return s.Requests.Sent
}

// sameValue compares what Scan has put into an any: floats by their bits.
func sameValue(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	if ok1 && ok2 {
		return math.Float64bits(x) == math.Float64bits(y)
	}
	return reflect.DeepEqual(a, b)
}

// show is v for a message; values may be large.
func show(v any) string {
	s := fmt.Sprintf("%T(%#v)", v, v)
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return s
}

// Every value comes back as it was stored, bound in an expression and through a
// column.
func TestValues(t *testing.T) {
	allRunes := func() string {
		var b strings.Builder
		for r := rune(0); r <= utf8.MaxRune; r++ {
			if utf8.ValidRune(r) && (r < 0x3000 || r%61 == 0 || r > utf8.MaxRune-0x10) {
				b.WriteRune(r)
			}
		}
		return b.String()
	}()
	large := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(large)

	values := []struct {
		name string
		in   any
		want any // if it is not in
		kind string
	}{
		{name: "null", in: nil, kind: "null"},
		{name: "zero", in: int64(0), kind: "integer"},
		{name: "smallest integer", in: int64(math.MinInt64), kind: "integer"},
		{name: "largest integer", in: int64(math.MaxInt64), kind: "integer"},
		{name: "beyond a double's precision", in: int64(1<<53 + 1), kind: "integer"},
		{name: "true", in: true, want: int64(1), kind: "integer"},
		{name: "false", in: false, want: int64(0), kind: "integer"},
		{name: "small integer type", in: int8(-128), want: int64(-128), kind: "integer"},
		{name: "unsigned", in: uint32(math.MaxUint32), want: int64(math.MaxUint32), kind: "integer"},
		{name: "float", in: 1.5, kind: "real"},
		{name: "float of a whole number", in: 3.0, kind: "real"},
		{name: "beyond 2^63", in: 1e19, kind: "real"},
		{name: "float32", in: float32(0.1), want: float64(float32(0.1)), kind: "real"},
		{name: "zero float", in: 0.0, kind: "real"},
		{name: "negative zero", in: math.Copysign(0, -1), kind: "real"},
		{name: "largest float", in: math.MaxFloat64, kind: "real"},
		{name: "smallest float", in: math.SmallestNonzeroFloat64, kind: "real"},
		{name: "negative smallest float", in: -math.SmallestNonzeroFloat64, kind: "real"},
		{name: "empty text", in: "", kind: "text"},
		{name: "text", in: "it's \"quoted\" \\ and\r\n\tmore", kind: "text"},
		{name: "text that is a number", in: "0123", kind: "text"},
		{name: "NUL in text", in: "a\x00b\x00", kind: "text"},
		{name: "text of one NUL", in: "\x00", kind: "text"},
		{name: "byte order mark", in: "\ufeffx", kind: "text"},
		{name: "every kind of code point", in: allRunes, kind: "text"},
		{name: "large text", in: strings.Repeat("0123456789abcdeé", 100_000), kind: "text"},
		{name: "empty blob", in: []byte{}, kind: "blob"},
		{name: "blob", in: []byte{0, 1, 0x7f, 0x80, 0xff}, kind: "blob"},
		{name: "blob of two bytes", in: []byte{1, 2}, kind: "blob"},
		{name: "large blob", in: large, kind: "blob"},
	}
	inModesBeside(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE v (x)")
		for _, v := range values {
			want := v.want
			if want == nil {
				want = v.in
			}
			var got any
			var kind string
			if err := db.QueryRowContext(ctx, "SELECT ?1, typeof(?1)", v.in).Scan(&got, &kind); err != nil {
				t.Errorf("%s: %v", v.name, err)
			} else if !sameValue(got, want) || kind != v.kind {
				t.Errorf("%s: bound as %s and got %s, want %s", v.name, kind, show(got), show(want))
			}
			mustExec(t, db, "INSERT INTO v VALUES (?)", v.in)
			got = "nothing"
			if err := db.QueryRowContext(ctx, "SELECT x FROM v ORDER BY rowid DESC LIMIT 1").Scan(&got); err != nil || !sameValue(got, want) {
				t.Errorf("%s: stored and got %s, %v, want %s", v.name, show(got), err, show(want))
			}
		}
	})
}

// A float goes both ways without losing a bit, in decimal too.
func TestValueFloatsAreExact(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		r := rand.New(rand.NewPCG(1, 2))
		const width = 100
		query := "SELECT ?" + strings.Repeat(", ?", width-1)
		for range 10 {
			args, dest, got := make([]any, width), make([]any, width), make([]float64, width)
			for i := range args {
				f := r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20))
				if bits := math.Float64frombits(r.Uint64()); i%2 == 0 && !math.IsNaN(bits) && !math.IsInf(bits, 0) {
					f = bits
				}
				args[i], dest[i] = f, &got[i]
			}
			if err := db.QueryRow(query, args...).Scan(dest...); err != nil {
				t.Fatal(err)
			}
			for i, f := range got {
				if want := args[i].(float64); math.Float64bits(f) != math.Float64bits(want) {
					t.Fatalf("%g comes back as %g", want, f)
				}
			}
		}
	})
}

// SQLite has infinities and takes NaN for NULL. JSON has none of the three: in
// it, infinities are written into the SQL, and reading one is an error.
func TestValueNotFinite(t *testing.T) {
	modes := append(append([]mode(nil), nativeModes...), otherModes[1])
	inModes(t, modes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE v (id INTEGER PRIMARY KEY, x)")
		mustExec(t, db, "INSERT INTO v VALUES (1, ?), (2, ?), (3, ?), (4, 1.5)", math.NaN(), math.Inf(1), math.Inf(-1))
		if n := queryInt(t, db, "SELECT count(*) FROM v WHERE id = 1 AND x IS NULL OR id = 2 AND x = 9e999 OR id = 3 AND x = -9e999"); n != 3 {
			t.Errorf("%d of NULL and the infinities have arrived", n)
		}
		if n := queryInt(t, db, "SELECT id FROM v WHERE x = ?", math.Inf(-1)); n != 3 {
			t.Errorf("-Inf is in row %d", n)
		}
		// An infinite argument among others: it leaves the text, they stay.
		var a, b, c any
		err := db.QueryRowContext(ctx, "SELECT ?1, ?2 < ?3, :name", "first", -1.5, math.Inf(1), sql.Named("name", "last")).Scan(&a, &b, &c)
		if e.native && (err != nil || a != "first" || b != int64(1) || c != "last") {
			t.Errorf("got %v, %v, %v, %v", a, b, c, err)
		}
		if !e.jsonOnly() {
			awaitEncoding(t, db)
		}
		for id, want := range map[int]float64{2: math.Inf(1), 3: math.Inf(-1)} {
			var got any
			err := db.QueryRowContext(ctx, "SELECT x FROM v WHERE id = ?", id).Scan(&got)
			switch {
			case e.jsonOnly():
				if err == nil || !strings.Contains(err.Error(), "infin") {
					t.Errorf("which infinity is %v, %v, though JSON does not say it", got, err)
				}
			case err != nil || got != want:
				t.Errorf("%v comes back as %v, %v", want, got, err)
			}
		}
		// What is read before and after it is not lost.
		if e.jsonOnly() {
			rows, err := db.QueryContext(ctx, "SELECT x FROM v WHERE id IN (1, 2) ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			if !rows.Next() || rows.Next() || rows.Err() == nil {
				t.Errorf("the row before the infinity: %v", rows.Err())
			}
			if n := queryInt(t, db, "SELECT x > 1e308 FROM v WHERE id = 2"); n != 1 {
				t.Errorf("compared on the server it is %d", n)
			}
		}
	})
}

// awaitEncoding returns when db has found out, beside its first requests, that
// the server speaks protobuf.
func awaitEncoding(t testing.TB, db *sql.DB) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err = db.QueryRow("SELECT 9e999").Scan(new(float64)); err == nil {
			return
		}
	}
	t.Fatal(err)
}

// The server could only refuse it, or worse, repair it; the driver says so first.
func TestValueInvalidUTF8(t *testing.T) {
	type text string
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		for _, bad := range []any{
			"secret\xff", "\xc3(", "\xed\xa0\x80", "cut\xe2\x82", text("\xffsecret"),
			sql.NullString{String: "secret\xff", Valid: true}, valuer{"\xff", nil}, sql.Named("a", "\xff"),
		} {
			_, err := db.ExecContext(ctx, "INSERT INTO v VALUES (:a)", bad)
			if err == nil || !strings.Contains(err.Error(), "UTF-8") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v", bad, err)
			}
			if s, err := db.PrepareContext(ctx, "SELECT :a"); err != nil {
				t.Error(err)
			} else if rows, err := s.QueryContext(ctx, bad); err == nil {
				t.Errorf("%q: a prepared statement takes it", bad)
				_ = rows.Close()
			}
		}
		if n := e.sent(t, db); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		// A text of the server's that is none is an error of that statement alone.
		var s string
		if err := db.QueryRowContext(ctx, "SELECT CAST(x'ff' AS TEXT)").Scan(&s); err == nil {
			t.Errorf("text that is not UTF-8 is read as %q", s)
		}
		var b []byte
		if err := db.QueryRowContext(ctx, "SELECT CAST(CAST(x'ff' AS TEXT) AS BLOB)").Scan(&b); err != nil || !bytes.Equal(b, []byte{0xff}) {
			t.Errorf("as a blob it is %q, %v", b, err)
		}
	})
}

// A valuer is any driver.Valuer.
type valuer struct {
	v   driver.Value
	err error
}

func (v valuer) Value() (driver.Value, error) { return v.v, v.err }

func TestValuers(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.UTC)
	seven, null := int64(7), (*int64)(nil)
	type id int32
	type raw []byte
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		for _, c := range []struct{ in, want any }{
			{sql.NullInt64{Int64: 5, Valid: true}, int64(5)},
			{sql.NullInt64{}, nil},
			{sql.NullInt32{Int32: -5, Valid: true}, int64(-5)},
			{sql.NullByte{Byte: 255, Valid: true}, int64(255)},
			{sql.NullFloat64{Float64: 0.25, Valid: true}, 0.25},
			{sql.NullFloat64{}, nil},
			{sql.NullBool{Bool: true, Valid: true}, int64(1)},
			{sql.NullString{String: "x", Valid: true}, "x"},
			{sql.NullString{}, nil},
			{sql.NullTime{Time: at, Valid: true}, "2024-02-29 23:59:58.123456789+00:00"},
			{sql.NullTime{}, nil},
			{sql.Null[id]{V: 3, Valid: true}, int64(3)},
			{sql.Null[[]byte]{}, nil},
			{valuer{v: []byte("b")}, []byte("b")},
			{valuer{v: true}, int64(1)},
			{valuer{v: at}, "2024-02-29 23:59:58.123456789+00:00"},
			{valuer{}, nil},
			{(*valuer)(nil), nil},
			{&seven, int64(7)},
			{null, nil},
			{[]byte(nil), nil},
			{sql.RawBytes("r"), []byte("r")},
			{id(9), int64(9)},
			{raw("r"), []byte("r")},
			{uint64(math.MaxInt64), int64(math.MaxInt64)},
		} {
			var got any
			if err := db.QueryRow("SELECT ?", c.in).Scan(&got); err != nil || !sameValue(got, c.want) {
				t.Errorf("%s is stored as %s, %v", show(c.in), show(got), err)
			}
		}
	})
}

func TestValueRefused(t *testing.T) {
	failure := errors.New("the valuer's own")
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		var out string
		for _, c := range []struct {
			in   any
			says string
		}{
			{sql.Out{Dest: &out}, "output"},
			{sql.Named("a", sql.Out{Dest: &out, In: true}), "output"},
			{&sql.Out{Dest: &out}, "output"},
			{uint64(1 << 63), "uint64"},
			{complex(1, 2), "complex128"},
			{[]string{"secret"}, "[]string"},
			{map[string]int{"secret": 1}, "map"},
			{struct{ X string }{"secret"}, "struct"},
			{func() {}, "func()"},
			{valuer{err: failure}, "the valuer's own"},
			{valuer{v: []string{"secret"}}, "valuer"},
		} {
			_, err := db.Exec("SELECT :a", c.in)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%T: %v", c.in, err)
			}
			if v, ok := c.in.(valuer); ok && v.err != nil && !errors.Is(err, failure) {
				t.Errorf("the valuer's error is hidden by %v", err)
			}
		}
		if n := e.sent(t, db); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

func TestScan(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		const query = "SELECT 42, 1.25, 'text', x'00ff', NULL, 1, '17'"
		var (
			i                  int32
			f                  float32
			s                  string
			b                  []byte
			null               sql.NullString
			yes                bool
			n                  sql.Null[int16]
			a0, a1, a2, a3, a4 any
		)
		if err := db.QueryRowContext(ctx, query).Scan(&i, &f, &s, &b, &null, &yes, &n); err != nil {
			t.Fatal(err)
		}
		if i != 42 || f != 1.25 || s != "text" || !bytes.Equal(b, []byte{0, 0xff}) || null.Valid || !yes || n.V != 17 {
			t.Error(i, f, s, b, null, yes, n)
		}
		var skip, skip2 any
		if err := db.QueryRowContext(ctx, query).Scan(&a0, &a1, &a2, &a3, &a4, &skip, &skip2); err != nil {
			t.Fatal(err)
		}
		if a0 != int64(42) || a1 != 1.25 || a2 != "text" || !reflect.DeepEqual(a3, []byte{0, 0xff}) || a4 != nil {
			t.Error(show(a0), show(a1), show(a2), show(a3), show(a4))
		}
		// Text into bytes, numbers into text.
		var text []byte
		var number, real, yes2 string
		if err := db.QueryRowContext(ctx, "SELECT 'bytes', 12, 0.5, 'true'").Scan(&text, &number, &real, &yes2); err != nil ||
			string(text) != "bytes" || number != "12" || real != "0.5" || yes2 != "true" {
			t.Errorf("%s, %s, %s, %s, %v", text, number, real, yes2, err)
		}
		for query, dest := range map[string]any{
			"SELECT NULL":  new(string),
			"SELECT 300":   new(int8),
			"SELECT 'x'":   new(int),
			"SELECT 1.5":   new(int64),
			"SELECT x'01'": new(float64),
		} {
			if err := db.QueryRowContext(ctx, query).Scan(dest); err == nil {
				t.Errorf("%s goes into a %T", query, dest)
			}
		}
	})
}

// RawBytes are the driver's memory: right until the next call of Next, and no
// one else's afterwards.
func TestScanRawBytes(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		rows, err := db.Query(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
			SELECT CAST('blob ' || i AS BLOB), 'text ' || i, i, i / 2.0, NULL, x'', CAST('own ' || i AS BLOB) FROM n`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var blob, text, integer, float, null, empty sql.RawBytes
		var kept [][]byte
		n := 0
		for rows.Next() {
			n++
			var own []byte
			if err := rows.Scan(&blob, &text, &integer, &float, &null, &empty, &own); err != nil {
				t.Fatal(err)
			}
			if string(blob) != fmt.Sprint("blob ", n) || string(text) != fmt.Sprint("text ", n) || string(integer) != fmt.Sprint(n) ||
				string(float) != fmt.Sprint(float64(n)/2) || null != nil || empty == nil || len(empty) != 0 {
				t.Fatalf("row %d is %q, %q, %q, %q, %q, %q", n, blob, text, integer, float, null, empty)
			}
			kept = append(kept, own)
			_ = append(own, "grown over the value behind it"...)
		}
		if err := rows.Err(); err != nil || n != 500 {
			t.Fatal(n, err)
		}
		for i, b := range kept {
			if string(b) != fmt.Sprint("own ", i+1) {
				t.Fatalf("the caller's copy of row %d is now %q", i+1, b)
			}
		}
	})
}

// A result's strings and blobs are the program's: neither what is read later nor
// what the program does to one changes another.
func TestScanKeeps(t *testing.T) {
	inModesBeside(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		for _, n := range []int{10, 5000} { // in one piece of memory, and in one too large to keep
			rows, err := db.Query(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
				SELECT printf('%020d', i), CAST(printf('%020d', i) AS BLOB) FROM n`, n)
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			var blobs []any
			for rows.Next() {
				var s string
				var b any
				if err := rows.Scan(&s, &b); err != nil {
					t.Fatal(err)
				}
				texts, blobs = append(texts, s), append(blobs, b)
				clear(b.([]byte))
			}
			if err := rows.Close(); err != nil || len(texts) != n {
				t.Fatal(len(texts), err)
			}
			for i, s := range texts {
				if s != fmt.Sprintf("%020d", i+1) || !bytes.Equal(blobs[i].([]byte), make([]byte, 20)) {
					t.Fatalf("row %d is now %q, %q", i+1, s, blobs[i])
				}
			}
		}
	})
}

// The driver borrows arguments only while a call runs.
func TestValueArgumentsAreTheCallers(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE v (x BLOB)")
		buf := []byte("0")
		for i := range 10 {
			buf[0] = byte('0' + i)
			mustExec(t, db, "INSERT INTO v VALUES (?)", buf)
		}
		clear(buf)
		var all string
		if err := db.QueryRow("SELECT group_concat(CAST(x AS TEXT), '') FROM v").Scan(&all); err != nil || all != "0123456789" {
			t.Errorf("stored was %q, %v", all, err)
		}
	})
}
