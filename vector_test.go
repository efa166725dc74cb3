package tursoopt_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
)

func TestVector32RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOf(rapid.Uint32()).Draw(t, "bits")
		v := make(tursoopt.Vector32, len(bits))
		for i, b := range bits {
			v[i] = math.Float32frombits(b)
		}
		value, err := v.Value()
		if err != nil {
			t.Fatal(err)
		}
		b := value.([]byte)
		for i := range bits {
			if got := binary.LittleEndian.Uint32(b[4*i:]); got != bits[i] {
				t.Fatalf("element %d is stored as %x, not %x", i, got, bits[i])
			}
		}
		var got tursoopt.Vector32
		if err := got.Scan(b); err != nil || len(got) != len(v) {
			t.Fatal(len(got), err)
		}
		for i := range bits {
			if math.Float32bits(got[i]) != bits[i] {
				t.Fatalf("element %d comes back as %v, not %v", i, got[i], v[i])
			}
		}
	})
}

func TestVector32Scan(t *testing.T) {
	for _, c := range []struct {
		src  any
		want tursoopt.Vector32
		ok   bool
	}{
		{nil, nil, true},
		{[]byte{}, tursoopt.Vector32{}, true},
		{[]byte{0, 0, 128, 63, 0, 0, 0, 192}, tursoopt.Vector32{1, -2}, true},
		{"[]", tursoopt.Vector32{}, true},
		{" [ ] ", tursoopt.Vector32{}, true},
		{"[1]", tursoopt.Vector32{1}, true},
		{"[1,2.5,-3e2]", tursoopt.Vector32{1, 2.5, -300}, true},
		{"[ 1 , 0.1 ]\n", tursoopt.Vector32{1, 0.1}, true},
		{src: []byte{0, 0, 128}},
		{src: []byte{0, 0, 128, 63, 1}},
		{src: ""}, {src: "1,2"}, {src: "[1,2"}, {src: "1]"}, {src: "[1,,2]"}, {src: "[,]"}, {src: "[1,]"},
		{src: "[one]"}, {src: "[1e39]"}, {src: int64(1)}, {src: 1.5}, {src: true},
	} {
		got := tursoopt.Vector32{9}
		err := got.Scan(c.src)
		if c.ok {
			if err != nil || !slices.Equal(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("%#v is scanned as %#v, %v", c.src, got, err)
			}
		} else if err == nil || !slices.Equal(got, tursoopt.Vector32{9}) {
			t.Errorf("%#v is scanned as %#v, %v", c.src, got, err)
		}
	}
	if v, err := tursoopt.Vector32(nil).Value(); v != nil || err != nil {
		t.Errorf("a nil vector is %v, %v", v, err)
	}
}

// A scanned vector is the program's own.
func TestVector32Copies(t *testing.T) {
	src := []byte{0, 0, 128, 63}
	var v tursoopt.Vector32
	if err := v.Scan(src); err != nil {
		t.Fatal(err)
	}
	clear(src)
	if v[0] != 1 {
		t.Errorf("it changes with what it was read from: %v", v)
	}
}

// On every base a vector is a blob that comes back.
func TestVector32Stored(t *testing.T) {
	inModes(t, allModes, func(t *testing.T, e *env) {
		db := e.open(t)
		mustExec(t, db, "CREATE TABLE v (id INTEGER PRIMARY KEY, x BLOB)")
		want := []tursoopt.Vector32{{}, nil, {1, 2, 3}, {0.1, float32(math.Inf(1)), -math.MaxFloat32, math.SmallestNonzeroFloat32}}
		for i, v := range want {
			mustExec(t, db, "INSERT INTO v VALUES (?, ?)", i, v)
		}
		for i, v := range want {
			var got tursoopt.Vector32
			var kind string
			if err := db.QueryRow("SELECT x, typeof(x) FROM v WHERE id = ?", i).Scan(&got, &kind); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, v) || (got == nil) != (v == nil) || (kind == "null") != (v == nil) {
				t.Errorf("%#v comes back as %s %#v", v, kind, got)
			}
		}
	})
}

// sqld's own functions take a Vector32 for a vector, and give what it can read.
func TestVector32OnServer(t *testing.T) {
	modes := slices.DeleteFunc(slices.Clone(allModes), func(m mode) bool { return !m.real })
	inModes(t, modes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE v (id INTEGER PRIMARY KEY, emb F32_BLOB(3))")
		mustExec(t, db, "INSERT INTO v VALUES (1, vector32('[1, 0.5, -2]'))")
		mustExec(t, db, "INSERT INTO v VALUES (2, ?), (3, ?)", tursoopt.Vector32{0, 1, 0}, tursoopt.Vector32{0, 0.9, 0.1})
		var got, text tursoopt.Vector32
		if err := db.QueryRowContext(ctx, "SELECT emb, vector_extract(emb) FROM v WHERE id = 1").Scan(&got, &text); err != nil ||
			!slices.Equal(got, tursoopt.Vector32{1, 0.5, -2}) || !slices.Equal(text, got) {
			t.Errorf("the server's vector is read as %v, %v, %v", got, text, err)
		}
		var extracted string
		if err := db.QueryRowContext(ctx, "SELECT vector_extract(?)", tursoopt.Vector32{1, 0.5, -2}).Scan(&extracted); err != nil || extracted != "[1,0.5,-2]" {
			t.Errorf("the server reads %q, %v", extracted, err)
		}
		var near float64
		if err := db.QueryRowContext(ctx, "SELECT vector_distance_cos(?, emb) FROM v WHERE id = 2", tursoopt.Vector32{0, 7, 0}).Scan(&near); err != nil || math.Abs(near) > 1e-6 {
			t.Errorf("the distance is %v, %v", near, err)
		}
		mustExec(t, db, "CREATE INDEX v_idx ON v (libsql_vector_idx(emb))")
		rows, err := db.QueryContext(ctx, "SELECT v.id FROM vector_top_k('v_idx', ?, 2) AS k JOIN v ON v.rowid = k.id ORDER BY vector_distance_cos(v.emb, ?)",
			tursoopt.Vector32{0, 1, 0.05}, tursoopt.Vector32{0, 1, 0.05})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var ids []int64
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil || !slices.Equal(ids, []int64{2, 3}) && !slices.Equal(ids, []int64{3, 2}) {
			t.Errorf("the nearest are %v, %v", ids, err)
		}
		_, err = db.ExecContext(ctx, "INSERT INTO v VALUES (9, ?)", tursoopt.Vector32{1, 2})
		if err == nil || !strings.Contains(err.Error(), "dimension") {
			t.Errorf("a vector of another length: %v", err)
		}
		var null sql.Null[tursoopt.Vector32]
		if err := db.QueryRowContext(ctx, "SELECT ?", tursoopt.Vector32(nil)).Scan(&null); err != nil || null.Valid {
			t.Errorf("a nil vector is %v, %v", null, err)
		}
	})
}
