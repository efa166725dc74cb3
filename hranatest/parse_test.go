package hranatest

import (
	"encoding/json"
	"strings"
	"testing"
)

// Whatever a client sends, the parser must come to an end, and the short way
// for a text of one statement must come to the same as the long one.
func FuzzParser(f *testing.F) {
	for _, c := range conversations {
		for _, e := range c.says {
			var body struct {
				Requests []struct {
					SQL  string
					Stmt struct{ SQL string }
				}
			}
			if json.Unmarshal([]byte(strings.ReplaceAll(e.body, "BATON", "null")), &body) == nil {
				for _, r := range body.Requests {
					f.Add(r.SQL + r.Stmt.SQL)
				}
			}
		}
	}
	p, err := newParser()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.close)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 10000 || strings.Contains(sql, "\x00") {
			t.Skip()
		}
		short, long := single(sql), p.script(sql)
		if short == nil {
			return
		}
		bad := p.syntax(short.commands[0].sql)
		switch {
		case bad != nil:
			if long.err == nil {
				t.Errorf("%q is not SQL: %+v", sql, *bad)
			} else if want := bad.refusal(sql, bad.at); want.Error() != long.err.Error() {
				t.Errorf("%q: %s, or else %s", sql, want, long.err)
			}
		case long.err != nil || len(long.commands) != 1:
			t.Errorf("%q: %d commands, %v", sql, len(long.commands), long.err)
		case long.commands[0] != short.commands[0]:
			t.Errorf("%q: %+v, or else %+v", sql, long.commands[0], short.commands[0])
		}
	})
}

func TestTheParsersCacheIsBounded(t *testing.T) {
	p, err := newParser()
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	text := strings.Repeat("x", 1000)
	for i := range 3000 {
		p.read("select "+itoa(i)+" as "+text, i%2 == 0)
	}
	p.read("select '"+strings.Repeat("x", maxText)+"'", true)
	size := 0
	for sql := range p.texts {
		if len(sql) > maxText {
			t.Errorf("it holds a text of %d bytes", len(sql))
		}
		size += len(sql)
	}
	if size != p.size || size > maxTexts+maxText {
		t.Errorf("it holds %d bytes, and counts %d", size, p.size)
	}
}
