package workfront

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"iter"
)

// byteOrderMark precedes the JSON of some gateways. RFC 8259, section 8.1, lets a reader ignore it.
const byteOrderMark = "\xef\xbb\xbf"

// jsonSpace is what JSON takes for white space, and nothing else.
const jsonSpace = " \t\r\n"

// object is the text of a JSON object, known to be valid. It is searched where it lies: what nobody asks for is
// neither decoded nor copied, however many members there are.
type object []byte

// parseObject returns body as an object, or nil if it is anything else.
func parseObject(body []byte) object {
	text := bytes.Trim(bytes.TrimPrefix(body, []byte(byteOrderMark)), jsonSpace)
	if len(text) == 0 || text[0] != '{' || !json.Valid(text) {
		return nil
	}
	return text
}

// member returns the raw value of a member, or nil if there is none. It reads as Workfront's own client, which is
// JavaScript, would: names are exact, and of two members with the same name the last counts. Decoded into a
// struct, a name in other letters would do, and could hide the right one.
func (o object) member(name string) []byte {
	var found []byte
	for raw, value := range o.members() {
		if isNamed(raw, name) {
			found = value
		}
	}
	return found
}

// isNamed tells whether raw, which stands between the quotes of a JSON string, spells name, which is of ASCII letters.
func isNamed(raw []byte, name string) bool {
	for i := range len(name) {
		if len(raw) == 0 {
			return false
		}
		spelled, length := raw[0], 1
		if raw[0] == '\\' {
			var r [2]byte
			length = len(`\u0000`)
			if len(raw) < length || raw[1] != 'u' {
				return false
			}
			if _, err := hex.Decode(r[:], raw[2:length]); err != nil || r[0] != 0 {
				return false
			}
			spelled = r[1]
		}
		if spelled != name[i] {
			return false
		}
		raw = raw[length:]
	}
	return len(raw) == 0
}

// object returns a member that is an object itself, or nil.
func (o object) object(name string) object {
	value := o.member(name)
	if len(value) == 0 || value[0] != '{' {
		return nil
	}
	return value
}

// text returns a member that is a string, or "". Of a long one it decodes the first limit bytes or escapes; whole
// tells whether that is all.
func (o object) text(name string, limit int) (text string, whole bool) {
	value := o.member(name)
	if len(value) == 0 || value[0] != '"' {
		return "", true
	}
	return decodeString(value[1:len(value)-1], limit)
}

// members yields all members in their order. A name is yielded as it stands between its quotes, a value as it is.
func (o object) members() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if len(o) == 0 {
			return
		}
		for rest := bytes.TrimLeft(o[1:], jsonSpace); len(rest) > 0 && rest[0] != '}'; {
			n := stringEnd(rest)
			name := rest[1 : n-1]
			rest = bytes.TrimLeft(rest[n:], jsonSpace+":")
			n = valueEnd(rest)
			if !yield(name, rest[:n]) {
				return
			}
			rest = bytes.TrimLeft(rest[n:], jsonSpace+",")
		}
	}
}

// elements yields the elements of a valid JSON array; none if value is no array.
func elements(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if len(value) == 0 || value[0] != '[' {
			return
		}
		for rest := bytes.TrimLeft(value[1:], jsonSpace); len(rest) > 0 && rest[0] != ']'; {
			n := valueEnd(rest)
			if !yield(rest[:n]) {
				return
			}
			rest = bytes.TrimLeft(rest[n:], jsonSpace+",")
		}
	}
}

// stringEnd returns the length of the JSON string that valid JSON begins with, its quotes included.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// valueEnd returns the length of the JSON value that valid JSON begins with.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:]) - 1
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of what the value, a number say, is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

// decodeString decodes what stands between the quotes of a JSON string. Of a long one, it decodes the first limit
// bytes or escapes, and cuts none of those in two.
func decodeString(raw []byte, limit int) (text string, whole bool) {
	end := 0
	for ; end < len(raw) && limit > 0; limit-- {
		switch {
		case raw[end] != '\\':
			end++
		case raw[end+1] == 'u':
			end += len(`\u0000`)
		default:
			end += len(`\n`)
		}
	}
	quoted := make([]byte, 0, end+2)
	quoted = append(append(append(quoted, '"'), raw[:end]...), '"')
	_ = json.Unmarshal(quoted, &text) // it is valid
	return text, end == len(raw)
}
