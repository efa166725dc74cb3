package ui

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Factor, 3.914, "3.91x"},
		{Factor, 54321.4, "54,321x"},
		{Seconds, 0, "0 ns"},
		{Seconds, 0.0000000451, "45 ns"},
		{Seconds, 0.00001234, "12.3 us"},
		{Seconds, 0.021, "21.0 ms"},
		{Seconds, 2.5, "2.50 s"},
		{Bytes, 999, "999 B"},
		{Bytes, 4100, "4.10 kB"},
		{Bytes, 32e6, "32.0 MB"},
		{Bytes, 5e13, "50,000 GB"},
		{Memory, 4096, "4.00 KiB"},
		{Memory, 1023, "1023 B"},
		{Count, 0.00031, "0.0003"},
		{Count, 0, "0.00"},
		{Count, 449.2, "449"},
		{Count, -1234, "-1,234"},
		{Rate, 16700, "16,700/s"},
		{Rate, math.NaN(), "-"},
	} {
		if got := c.unit.Format(c.v); got != c.want {
			t.Errorf("%g %s is written %q, want %q", c.v, c.unit, got, c.want)
		}
	}
	if got := Duration(-3 * time.Millisecond); got != "-3.00 ms" {
		t.Errorf("a negative duration is written %q", got)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -123456: "-123,456", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("%d is written %q", n, got)
		}
	}
}

func TestTable(t *testing.T) {
	table := Table{Header: []string{"name", "", "number"}, Left: 2}
	table.Add("größer", "x", "1")
	table.Add("a|b", "", "1,000")
	table.Add("alone")
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	const text = "" +
		"name       number\n" +
		"------  -  ------\n" +
		"größer  x       1\n" +
		"a|b         1,000\n" +
		"alone\n"
	if b.String() != text {
		t.Errorf("as text:\n%s\nwant:\n%s", b.String(), text)
	}
	b.Reset()
	if err := table.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	const markdown = "" +
		"| name |  | number |\n" +
		"|---|---|--:|\n" +
		"| größer | x | 1 |\n" +
		"| a\\|b |  | 1,000 |\n" +
		"| alone |  |  |\n"
	if b.String() != markdown {
		t.Errorf("as Markdown:\n%s\nwant:\n%s", b.String(), markdown)
	}
}

func TestProgressWhereNobodyWatches(t *testing.T) {
	var b bytes.Buffer
	p := NewProgress(&b, 2)
	p.Stage("first of %d", 2)
	p.Step()
	p.Stage("second")
	p.Step()
	p.Done()
	if got := b.String(); got != "first of 2\nsecond\n" {
		t.Errorf("progress is %q", got)
	}
	if IsTerminal(&b) {
		t.Error("a buffer is taken for a terminal")
	}
}

func TestProgressOnATerminal(t *testing.T) {
	var b bytes.Buffer
	p := &Progress{w: &b, bar: bar(&b, 2)}
	p.Stage("measuring")
	p.Step()
	p.Step()
	p.Step() // one too many harms nobody
	p.Done()
	if got := b.String(); !strings.Contains(got, "measuring") || !strings.Contains(got, "(1/2)") {
		t.Errorf("the bar is %q", got)
	}
}
