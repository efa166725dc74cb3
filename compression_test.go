package tursoopt_test

import (
	"bytes"
	"context"
	"database/sql"
	"slices"
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
	"github.com/turso-opt/turso-opt/internal/frame"
)

// packable is text that gets a good deal shorter.
var packable = strings.Repeat(`{"name":"value","list":[1,2,3],"text":"grüße"}`, 100)

func TestCompressedValues(t *testing.T) {
	inModes(t, append(slices.Clone(nativeModes[:4]), otherModes...), func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
		blob := append([]byte{0, 1, 2}, packable...)
		escaped := []byte(frame.Magic + "and more")
		for i, v := range []any{
			tursoopt.Compressed(packable), tursoopt.Compressed(blob), tursoopt.CompressedText(packable), tursoopt.CompressedBlob(blob),
			tursoopt.Compressed("short"), tursoopt.Compressed(nil), tursoopt.Compressed(int64(7)), tursoopt.CompressedBlob(nil),
			(*tursoopt.CompressedText)(nil), tursoopt.CompressedBlob(escaped), tursoopt.Compressed(tursoopt.CompressedText("nested")), packable,
		} {
			mustExec(t, db, "INSERT INTO t VALUES (?, ?)", i, v)
		}
		var kinds string
		if err := db.QueryRowContext(ctx, "SELECT group_concat(typeof(x)) FROM t").Scan(&kinds); err != nil {
			t.Fatal(err)
		}
		if want := "blob,blob,blob,blob,text,null,integer,null,null,blob,text,text"; kinds != want {
			t.Errorf("the kinds are %s, want %s", kinds, want)
		}
		if n := queryInt(t, db, "SELECT max(length(x)) FROM t WHERE id < 4"); n > int64(len(packable)/3) {
			t.Errorf("a value takes %d bytes, and it has %d", n, len(packable))
		}
		texts := map[int]string{0: packable, 1: string(blob), 2: packable, 4: "short", 11: packable, 10: "nested"}
		for id, want := range texts {
			var got tursoopt.CompressedText
			if err := db.QueryRowContext(ctx, "SELECT x FROM t WHERE id = ?", id).Scan(&got); err != nil || string(got) != want {
				t.Errorf("row %d as text: %d bytes, %v", id, len(got), err)
			}
		}
		for id, want := range map[int][]byte{1: blob, 3: blob, 4: []byte("short"), 9: escaped, 5: nil, 7: nil} {
			var got tursoopt.CompressedBlob
			if err := db.QueryRowContext(ctx, "SELECT x FROM t WHERE id = ?", id).Scan(&got); err != nil || !bytes.Equal(got, want) || (got == nil) != (want == nil) {
				t.Errorf("row %d as a blob: %d bytes, %v", id, len(got), err)
			}
		}
		var p *tursoopt.CompressedText
		var n sql.Null[tursoopt.CompressedText]
		for id, null := range map[int]bool{5: true, 0: false} {
			if err := db.QueryRowContext(ctx, "SELECT x, x FROM t WHERE id = ?", id).Scan(&p, &n); err != nil || (p == nil) != null || n.Valid == null {
				t.Errorf("row %d: %v, %v, %v", id, p == nil, n.Valid, err)
			}
			if !null && (string(*p) != packable || string(n.V) != packable) {
				t.Errorf("row %d is another", id)
			}
		}
		// Who has not asked for it gets what is stored.
		var raw []byte
		if err := db.QueryRowContext(ctx, "SELECT x FROM t WHERE id = 0").Scan(&raw); err != nil || !frame.Is(raw) {
			t.Errorf("%d bytes, %v", len(raw), err)
		}
	})
}

func TestCompressedRefusesWhatIsDamaged(t *testing.T) {
	v, err := tursoopt.Compressed(packable).Value()
	if err != nil {
		t.Fatal(err)
	}
	f := v.([]byte)
	f[len(f)-1] ^= 1
	var text tursoopt.CompressedText
	var blob tursoopt.CompressedBlob
	for _, src := range []any{f, f[:30], f[:len(frame.Magic)]} {
		if err := text.Scan(src); err == nil || text != "" {
			t.Errorf("text: %v", err)
		}
		if err := blob.Scan(src); err == nil || blob != nil {
			t.Errorf("blob: %v", err)
		}
	}
	if err := text.Scan(nil); err == nil {
		t.Error("NULL is a text")
	}
	if err := text.Scan(1.5); err == nil {
		t.Error("a number is a text")
	}
	if err := blob.Scan(int64(1)); err == nil {
		t.Error("a number is a blob")
	}
	if _, err := tursoopt.CompressedWith("gzip", packable).Value(); err == nil || !strings.Contains(err.Error(), "gzip") {
		t.Errorf("an algorithm that nobody knows: %v", err)
	}
	if _, err := tursoopt.Compressed(struct{}{}).Value(); err == nil {
		t.Error("a struct can be stored")
	}
}

func TestCompressedInBatchAndBulk(t *testing.T) {
	inModes(t, []mode{nativeModes[3], otherModes[1]}, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
		var b tursoopt.Batch
		b.Queue("INSERT INTO t VALUES (1, ?)", tursoopt.Compressed(packable))
		b.Queue("SELECT x FROM t WHERE id = 1")
		res, err := tursoopt.SendBatch(ctx, db, &b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := res.Exec(); err != nil {
			t.Fatal(err)
		}
		var got tursoopt.CompressedText
		if err := res.QueryRow().Scan(&got); err != nil || string(got) != packable {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := res.Close(); err != nil {
			t.Fatal(err)
		}
		rows := func(yield func([]any, error) bool) {
			for i := 2; i < 5 && yield([]any{i, tursoopt.CompressedText(packable)}, nil); i++ {
			}
		}
		if n, err := tursoopt.BulkInsert(ctx, db, "t", []string{"id", "x"}, rows); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		if n := queryInt(t, db, "SELECT count(*) FROM t WHERE typeof(x) = 'blob' AND length(x) < 1000"); n != 4 {
			t.Errorf("%d rows are compressed", n)
		}
	})
}
