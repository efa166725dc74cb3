package tursoopt_test

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	tursoopt "github.com/turso-opt/turso-opt"
)

// timeTexts are texts and the times they are; the zero time is for those that
// are none.
var timeTexts = []struct {
	text string
	want time.Time
}{
	// date(), datetime(), CURRENT_TIMESTAMP, datetime(..., 'subsec'), strftime.
	{"2024-02-29", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
	{"2024-01-02 03:04", time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC)},
	{"2024-01-02 03:04:05", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04:05.678", time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)},
	{"2024-01-02T03:04", time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC)},
	{"2024-01-02T03:04:05", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02T03:04:05.678Z", time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC)},
	{"0000-01-01 00:00:00", time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
	{"9999-12-31 23:59:59.999", time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)},
	{"-4713-11-24 12:00:00", time.Date(-4713, 11, 24, 12, 0, 0, 0, time.UTC)}, // datetime(0)
	// libsql-client-go, and this driver.
	{"2024-01-02 03:04:05+00:00", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04:05.123456789+02:00", time.Date(2024, 1, 2, 1, 4, 5, 123456789, time.UTC)},
	{"2024-01-02 03:04:05.1-09:30", time.Date(2024, 1, 2, 12, 34, 5, 1e8, time.UTC)},
	// RFC 3339, also as JSON and JavaScript write it.
	{"2024-01-02T03:04:05Z", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02T03:04:05z", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02T03:04:05.5+01:00", time.Date(2024, 1, 2, 2, 4, 5, 5e8, time.UTC)},
	{"2024-01-02 03:04:05Z", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04:05 +0100", time.Date(2024, 1, 2, 2, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04+01:00", time.Date(2024, 1, 2, 2, 4, 0, 0, time.UTC)},
	{"2024-01-02 03:04:05 UTC", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04:05.12345678987", time.Date(2024, 1, 2, 3, 4, 5, 123456789, time.UTC)},
	// time.Time.String, which fmt.Sprint stores.
	{"2024-01-02 03:04:05 +0000 UTC", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
	{"2024-07-02 03:04:05.25 +0200 CEST", time.Date(2024, 7, 2, 1, 4, 5, 25e7, time.UTC)},
	{"2024-01-02 03:04:05 -0300 -03", time.Date(2024, 1, 2, 6, 4, 5, 0, time.UTC)},
	{"2024-01-02 03:04:05 +0000 UTC m=+0.000123", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},

	{text: ""}, {text: " "}, {text: "now"}, {text: "03:04:05"}, {text: "2024"}, {text: "2024-01"}, {text: "20240102"},
	{text: "2024-1-2"}, {text: "2024-13-01"}, {text: "2024-00-01"}, {text: "2024-01-00"}, {text: "2023-02-29"},
	{text: "2024-06-31"}, {text: "2024-01-02 "}, {text: "2024-01-02T"}, {text: "2024-01-02 24:00:00"}, {text: "2024-01-02 23:60:00"},
	{text: "2024-01-02 23:59:60"}, {text: "2024-01-02 03"}, {text: "2024-01-02 03:04:"}, {text: "2024-01-02 03:04:05."},
	{text: "2024-01-02 03:04:05+"}, {text: "2024-01-02 03:04:05+1"}, {text: "2024-01-02 03:04:05+24:00"},
	{text: "2024-01-02 03:04:05+01:60"}, {text: "2024-01-02 03:04:05+01:00 lower"}, {text: "2024-01-02 03:04:05 and more"},
	{text: "2024-01-02 03:04:05.5x"}, {text: "2024-01-02 03:04:05Zulu"}, {text: " 2024-01-02"}, {text: "10000-01-01"},
	{text: "+2024-01-02"}, {text: "--024-01-02"}, {text: "2024-01-02\x00"}, {text: "२०२४-०१-०२"}, {text: "2024-01-02 03:04:05 +0000 UTC m="},
	{text: "2024-01-02 03:04:05 +0000 UTC m=1.5"}, {text: "2024-01-02 03:04:05 +0000 UTC m=+x"}, {text: "2024-01-02 03:04:05 +0000 m=+1.5"},
	{text: "2024-01-02 03:04:05 +0000 "},
}

func TestParseTime(t *testing.T) {
	for _, c := range timeTexts {
		got, ok := tursoopt.ParseTime(c.text)
		if ok != !c.want.IsZero() || !got.Equal(c.want) {
			t.Errorf("%q is %v, %v", c.text, got, ok)
		}
	}
	if got, _ := tursoopt.ParseTime("2024-01-02 03:04:05.1-09:30"); got.Format(time.RFC3339Nano) != "2024-01-02T03:04:05.1-09:30" {
		t.Errorf("the zone is lost: %v", got)
	}
	if got, _ := tursoopt.ParseTime("2024-01-02 03:04:05+00:00"); got.Location() != time.UTC {
		t.Errorf("UTC is %v", got.Location())
	}
}

// Any text is a time in whole or none; where it is one, writing it and reading
// that gives the same.
func FuzzParseTime(f *testing.F) {
	for _, c := range timeTexts {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := tursoopt.ParseTime(s)
		if !ok {
			if !at.IsZero() {
				t.Errorf("%q is no time, and yet %v", s, at)
			}
			return
		}
		again, ok := tursoopt.ParseTime(tursoopt.FormatTime(at))
		if !ok || !again.Equal(at) {
			t.Errorf("%q is %v, which is written as %q", s, at, tursoopt.FormatTime(at))
		}
	})
}

// Every time of SQLite's years is written so that it is read as the same
// instant, whatever its zone.
func TestFormatTimeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sec := rapid.Int64Range(time.Date(-4713, 11, 26, 0, 0, 0, 0, time.UTC).Unix(), time.Date(9999, 12, 30, 0, 0, 0, 0, time.UTC).Unix()).Draw(t, "sec")
		nsec := rapid.Int64Range(0, 999_999_999).Draw(t, "nsec")
		offset := rapid.IntRange(-24*3600+1, 24*3600-1).Draw(t, "offset")
		at := time.Unix(sec, nsec).In(time.FixedZone("", offset))
		if rapid.Bool().Draw(t, "monotonic") {
			at = time.Now().Add(time.Duration(nsec)).In(at.Location())
		}
		text := tursoopt.FormatTime(at)
		if got, ok := tursoopt.ParseTime(text); !ok || !got.Equal(at) {
			t.Fatalf("%v is written as %q and read as %v", at, text, got)
		}
	})
}

// What the server's own functions and other clients have written is read back,
// from the columns that are declared for times and from no others.
func TestTimeColumns(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE at (d DATE, dt datetime, ts Timestamp(6), tz TIMESTAMPTZ, txt TEXT, tm TIME, none)")
		for _, c := range timeTexts {
			mustExec(t, db, "DELETE FROM at")
			mustExec(t, db, "INSERT INTO at VALUES (?1, ?1, ?1, ?1, ?1, ?1, ?1)", c.text)
			var d, dt, ts, tz, txt, tm, none, expr any
			if err := db.QueryRowContext(ctx, "SELECT *, dt || '' FROM at").Scan(&d, &dt, &ts, &tz, &txt, &tm, &none, &expr); err != nil {
				t.Fatalf("%q: %v", c.text, err)
			}
			for _, got := range []any{d, dt, ts, tz} {
				if at, ok := got.(time.Time); ok != !c.want.IsZero() || ok && !at.Equal(c.want) || !ok && got != c.text {
					// NUMERIC affinity makes a number of "2024" and the like.
					if _, number := got.(int64); !number || !c.want.IsZero() {
						t.Errorf("%q is read as %v", c.text, got)
					}
				}
			}
			if txt != c.text || none != c.text || expr == nil {
				t.Errorf("%q is read as %v, %v, %v, %v where no time is declared", c.text, txt, tm, none, expr)
			}
			if _, ok := tm.(time.Time); ok {
				t.Errorf("a TIME column gives %v", tm)
			}
		}
		mustExec(t, db, "DELETE FROM at")
		mustExec(t, db, "INSERT INTO at (d, dt, ts, tz) VALUES (date('2024-01-02'), datetime('2024-01-02 03:04:05', '+1 day'), CURRENT_TIMESTAMP, strftime('%Y-%m-%dT%H:%M:%fZ', 0, 'unixepoch'))")
		var d, dt, ts, tz time.Time
		if err := db.QueryRowContext(ctx, "SELECT d, dt, ts, tz FROM at").Scan(&d, &dt, &ts, &tz); err != nil {
			t.Fatal(err)
		}
		if !d.Equal(time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)) || !dt.Equal(time.Date(2024, 1, 3, 3, 4, 5, 0, time.UTC)) ||
			math.Abs(time.Since(ts).Minutes()) > 10 || tz.Unix() != 0 {
			t.Error(d, dt, ts, tz)
		}
		// Numbers, blobs and NULL in such columns stay what they are.
		mustExec(t, db, "UPDATE at SET d = 5, dt = 2.5, ts = x'32', tz = NULL")
		var a, b, c, n any
		if err := db.QueryRowContext(ctx, "SELECT d, dt, ts, tz FROM at").Scan(&a, &b, &c, &n); err != nil ||
			a != int64(5) || b != 2.5 || !sameValue(c, []byte("2")) || n != nil {
			t.Error(show(a), show(b), show(c), show(n), err)
		}
	})
}

func TestParseTimeOff(t *testing.T) {
	inModes(t, nativeModes, func(t *testing.T, e *env) {
		db := e.open(t, "parse_time=off")
		mustExec(t, db, "CREATE TABLE at (x DATETIME)")
		at := time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.UTC)
		mustExec(t, db, "INSERT INTO at VALUES (?)", at)
		var got any
		if err := db.QueryRow("SELECT x FROM at").Scan(&got); err != nil || got != "2024-01-02 03:04:05.006+00:00" {
			t.Errorf("got %s, %v", show(got), err)
		}
	})
}

// A time.Time that is stored is the same instant to SQLite's functions, and to
// libsql-client-go, and comes back with its zone.
func TestTimeArguments(t *testing.T) {
	amsterdam1900 := time.FixedZone("AMT", 19*60+32)
	inModes(t, append(nativeModes[:len(nativeModes):len(nativeModes)], otherModes[0]), func(t *testing.T, e *env) {
		db := e.open(t)
		ctx := context.Background()
		mustExec(t, db, "CREATE TABLE at (x TIMESTAMP)")
		for _, at := range []time.Time{
			time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC),
			time.Date(2024, 2, 29, 23, 59, 59, 0, time.FixedZone("", 5*3600+45*60)),
			time.Date(2024, 2, 29, 23, 59, 59, 1e6, time.FixedZone("", -9*3600-30*60)),
			time.Date(1900, 1, 1, 0, 0, 0, 0, amsterdam1900),
			time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
			time.Now(),
		} {
			if _, offset := at.Zone(); e.upstream() && offset%60 != 0 {
				continue // it cuts the seconds off
			}
			mustExec(t, db, "DELETE FROM at")
			mustExec(t, db, "INSERT INTO at VALUES (?)", at)
			var got time.Time
			if err := db.QueryRowContext(ctx, "SELECT x FROM at").Scan(&got); err != nil || !got.Equal(at) {
				t.Errorf("%v comes back as %v, %v", at, got, err)
			}
			_, want := at.Zone()
			if _, offset := got.Zone(); offset != want && want%60 == 0 {
				t.Errorf("%v comes back with the offset %d", at, offset)
			}
			if got := queryInt(t, db, "SELECT strftime('%s', x) + 0 FROM at"); got != at.Unix() {
				t.Errorf("SQLite takes %v for %v", at, time.Unix(got, 0))
			}
			// An argument matches what was stored from the same value.
			if n := queryInt(t, db, "SELECT count(*) FROM at WHERE x = ?", at); n != 1 {
				t.Errorf("%v is not found", at)
			}
		}
		var null sql.NullTime
		mustExec(t, db, "UPDATE at SET x = ?", sql.NullTime{})
		if err := db.QueryRowContext(ctx, "SELECT x FROM at").Scan(&null); err != nil || null.Valid {
			t.Errorf("NULL is %v, %v", null, err)
		}
	})
}

// The year 10000 is beyond SQLite; its text stays one rather than becoming
// another year.
func TestTimeBeyondSQLite(t *testing.T) {
	text := tursoopt.FormatTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))
	if at, ok := tursoopt.ParseTime(text); ok || !strings.HasPrefix(text, "10000-") {
		t.Errorf("%q is read as %v", text, at)
	}
}
