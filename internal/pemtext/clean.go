package pemtext

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"
)

// clean undoes what the way of a text through other formats does to it: escapes become what they stand for, line ends
// a \n, other white space and quotes a blank, and what cannot be seen goes.
func clean(text string) string {
	var plain strings.Builder
	plain.Grow(len(text))
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if r == '\\' {
			r, i = unescape(runes, i)
		}
		switch {
		case r == '\n', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
			plain.WriteByte('\n')
		case unicode.IsSpace(r), unicode.In(r, unicode.Pi, unicode.Pf), r == '"', r == '\'', r == '`':
			plain.WriteByte(' ')
		case unicode.Is(unicode.Cf, r): // a byte order mark, a zero-width space, a soft hyphen
		default:
			plain.WriteRune(r)
		}
	}
	return plain.String()
}

// unescape reads the escape at runes[i], a backslash: what it stands for, and the place of its last character. JSON
// inside JSON has several backslashes, which are taken for one: base64 has none.
func unescape(runes []rune, i int) (rune, int) {
	for i+1 < len(runes) && runes[i+1] == '\\' {
		i++
	}
	if i+1 == len(runes) {
		return '\\', i
	}
	switch next := runes[i+1]; next {
	case 'n', 'r', '\n', '\r':
		return '\n', i + 1
	case 't':
		return ' ', i + 1
	case '/', '"', '\'': // some encoders of JSON escape the slash
		return next, i + 1
	case 'u': // and some the +, as \u002B
		if i+5 < len(runes) {
			code, err := hex.DecodeString(string(runes[i+2 : i+6]))
			if err == nil && code[0] == 0 && code[1] < unicode.MaxASCII && code[1] != '\\' {
				return rune(code[1]), i + 5
			}
		}
	}
	return '\\', i
}

// decodeBase64 decodes cleaned text that holds base64 and white space alone. Padding may be missing: it is lost easily,
// and what is inside has a length of its own.
func decodeBase64(plain string) ([]byte, bool) {
	digits := strings.Join(strings.Fields(plain), "")
	body := strings.TrimRight(digits, "=")
	if body == "" || len(digits)-len(body) > 2 {
		return nil, false
	}
	content, err := base64.RawStdEncoding.DecodeString(body)
	return content, err == nil
}
