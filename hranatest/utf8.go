package hranatest

import "unicode/utf8"

// invalidUTF8 is what Rust's library, and so sqld, says about a text that is not
// UTF-8: how many bytes at the first wrong place cannot begin a character.
func invalidUTF8(text []byte) string {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		at += n
	}
	rest := text[at:]
	if !utf8.FullRune(rest) {
		return "incomplete utf-8 byte sequence from index " + itoa(at)
	}
	// The longest beginning that more bytes could have completed.
	wrong := 1
	for wrong < len(rest) && !utf8.FullRune(rest[:wrong+1]) {
		wrong++
	}
	return "invalid utf-8 sequence of " + itoa(wrong) + " bytes from index " + itoa(at)
}
