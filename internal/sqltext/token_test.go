package sqltext

import (
	"strings"
	"testing"
)

var classNames = [...]string{
	end: "end", space: "space", word: "word", quoted: "quoted", str: "str", blob: "blob",
	number: "number", variable: "variable", punct: "punct", semi: "semi", comma: "comma",
	dot: "dot", lparen: "lparen", rparen: "rparen", illegal: "illegal",
}

// tokens writes a text as its tokens: class and text, and a + where one might go
// on if the text did. The word for a token's class is left out where its text
// says it.
func tokens(sql string) string {
	var b strings.Builder
	for i := 0; i < len(sql); {
		t := next(sql, i)
		if t.start != i || t.end <= i || t.end > len(sql) {
			return b.String() + " does not go on"
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		switch t.class {
		case semi, comma, dot, lparen, rparen, punct:
		default:
			b.WriteString(classNames[t.class] + ":")
		}
		b.WriteString(strings.ReplaceAll(sql[t.start:t.end], " ", "_"))
		if t.open {
			b.WriteByte('+')
		}
		i = t.end
	}
	return b.String()
}

func TestTokens(t *testing.T) {
	for _, c := range []struct{ sql, want string }{
		{"", ""},
		{"select", "word:select"},
		{"a1_$é", "word:a1_$é"},
		{" \t\n\f\r\v", "space:_\t\n\f\r\v"},
		{"\v", "illegal:\v"}, // does not begin white space
		{"a\vb", "word:a illegal:\v word:b"},

		{"-- c\nx", "space:--_c space:\n word:x"},
		{"-- c", "space:--_c+"},
		{"--", "space:--+"},
		{"--\r x", "space:--\r_x+"},
		{"/* c */x", "space:/*_c_*/ word:x"},
		{"/* c", "space:/*_c+"},
		{"/**/", "space:/**/"},
		{"/*/", "space:/*/+"},
		{"/*/*/", "space:/*/*/"},
		{"/* a /* b */ c */", "space:/*_a_/*_b_*/ space:_ word:c space:_ * /"},
		{"/*", "/+ *"}, // the last two bytes of a text
		{"/* ", "space:/*_+"},
		{"/", "/"},
		{"-", "-"},

		{"'a'", "str:'a'"},
		{"''", "str:''"},
		{"'a''b'", "str:'a''b'"},
		{"'a' 'b'", "str:'a' space:_ str:'b'"},
		{"'", "illegal:'+"},
		{"'a", "illegal:'a+"},
		{"'a''", "illegal:'a''+"},
		{"'a\\'", "str:'a\\'"}, // a backslash is a character
		{"'a;-- /*'", "str:'a;--_/*'"},
		{"'é\n'", "str:'é\n'"},
		{`"a""b"`, `quoted:"a""b"`},
		{`"a`, `illegal:"a+`},
		{"`a``b`", "quoted:`a``b`"},
		{"[a]]", "quoted:[a] illegal:]"},
		{"[a", "illegal:[a+"},

		{"x'00fF'", "blob:x'00fF'"},
		{"X''", "blob:X''"},
		{"x'0'", "illegal:x'0'"},
		{"x'0g'1", "illegal:x'0g' number:1"},
		{"x'00", "illegal:x'00+"},
		{"x'zz", "illegal:x'zz+"},
		{"x '00'", "word:x space:_ str:'00'"},
		{"xx'00'", "word:xx str:'00'"},

		{"0", "number:0"},
		{"12.5e-3", "number:12.5e-3"},
		{".5", "number:.5"},
		{"5.", "number:5."},
		{"5.e1", "number:5.e1"},
		{"1..2", "number:1. number:.2"},
		{"1e5", "number:1e5"},
		{"1E+5", "number:1E+5"},
		{"1e", "illegal:1e"},
		{"1e+", "illegal:1e +"},
		{"1a", "illegal:1a"},
		{"0x1F", "number:0x1F"},
		{"0xg", "illegal:0xg"},
		{"0x", "illegal:0x"},
		{"0x1g", "illegal:0x1g"},
		{"1_000", "number:1_000"},
		{"0x1_F", "number:0x1_F"},
		{"1.0_1e1_0", "number:1.0_1e1_0"},
		{"1__0", "illegal:1__0"},
		{"1_", "illegal:1_"},
		{"a.b", "word:a . word:b"},
		{"a.5", "word:a number:.5"},
		{"t.*", "word:t . *"},

		{"?", "variable:?"},
		{"?1", "variable:?1"},
		{"?1a", "variable:?1 word:a"},
		{"??", "variable:? variable:?"},
		{":a@b#c$d", "variable::a variable:@b variable:#c$d"},
		{":1", "variable::1"},
		{"$a::b(c)", "variable:$a::b(c)"},
		{"$a(b)c", "variable:$a(b) word:c"},
		{"$::a", "variable:$::a"},
		{"$a::", "variable:$a::"},
		{":a:b", "variable::a variable::b"},
		{"$a(b c)", "illegal:$a(b space:_ word:c )"},
		{"$a(b", "illegal:$a(b+"},
		{"$a(", "illegal:$a(+"},
		{"$(a)", "illegal:$ ( word:a )"},
		{": a", "illegal:: space:_ word:a"},
		{"@", "illegal:@"},
		{"$::", "illegal:$::"},
		{"a:b", "word:a variable::b"},
		{"a$b", "word:a$b"},

		{"=", "="}, {"==", "=="}, {"===", "== ="},
		{"<=<><<<", "<= <> << <"},
		{">=>>>", ">= >> >"},
		{"!=", "!="}, {"!", "illegal:!"}, {"!!=", "illegal:! !="},
		{"||||", "|| ||"}, {"|", "|"},
		{"->->>", "-> ->>"},
		{"+-*/%&~", "+ - * / % & ~"},
		{"(),;.", "( ) , ; ."},
		{"\\", "illegal:\\"}, {"{}", "illegal:{ illegal:}"}, {"^", "illegal:^"}, {"]", "illegal:]"},
		{"\x01", "illegal:\x01"}, {"\x7f", "illegal:\x7f"},

		{"\xEF\xBB\xBFa", "space:\xEF\xBB\xBF word:a"},
		{"a\xEF\xBB\xBFb", "word:a\xEF\xBB\xBFb"},
		{" \xEF\xBB\xBF", "space:_ space:\xEF\xBB\xBF"},
		{"\xEF\xBBa", "word:\xEF\xBBa"},
		{"\xFF", "word:\xFF"},
	} {
		if got := tokens(c.sql); got != c.want {
			t.Errorf("%q is\n\t%s, want\n\t%s", c.sql, got, c.want)
		}
	}
}
