package pemtext

import (
	"fmt"
	"strings"
)

const dashes = "-----"

// maxLabel is longer than any label there is. It bounds the search for the end of one.
const maxLabel = 64

// marker is a line that begins or ends a block.
type marker struct {
	start, end int // its place in the text, with five dashes on each side
	begins     bool
	label      string
	damaged    bool // it lacks dashes, or its label has no end
}

// scan returns the PEM blocks of cleaned text. What begins or ends like a block and is none is an error: left out, it
// would be missed only when it is needed.
func scan(plain string) ([]Block, error) {
	var blocks []Block
	for at := 0; ; {
		number := len(blocks) + 1
		begin, found := nextMarker(plain, at)
		switch {
		case !found:
			return blocks, nil
		case begin.damaged:
			return nil, damaged(number, "has a damaged -----BEGIN or -----END line")
		case !begin.begins:
			return nil, damaged(number, "has no -----BEGIN line")
		}
		end, found := nextMarker(plain, begin.end)
		switch {
		case !found, end.begins:
			return nil, damaged(number, "has no -----END line")
		case end.damaged:
			return nil, damaged(number, "has a damaged -----END line")
		case strings.Join(strings.Fields(end.label), "") != strings.Join(strings.Fields(begin.label), ""):
			return nil, damaged(number, "begins as one kind of block and ends as another")
		}
		block, problem := readBlock(begin.label, plain[begin.end:end.start])
		if problem != "" {
			return nil, damaged(number, problem)
		}
		blocks = append(blocks, block)
		at = end.end
	}
}

func damaged(number int, problem string) error {
	return fmt.Errorf("is damaged: PEM block %d %s; copy the file again, whole", number, problem)
}

// nextMarker returns the first marker that begins at or behind from. It looks at no character more than twice, but for
// those of a label.
func nextMarker(plain string, from int) (marker, bool) {
	for at := from; ; {
		next := strings.IndexByte(plain[at:], '-')
		if next < 0 {
			return marker{}, false
		}
		start := at + next
		word := skip(plain, start, "-")
		at = word
		before := word - start
		if before < 2 {
			continue // a hyphen
		}
		spaced := skip(plain, word, " ")
		m := marker{start: word - len(dashes)}
		rest := plain[spaced:]
		if label, ok := strings.CutPrefix(rest, "BEGIN"); ok {
			m.begins, rest = true, label
		} else if label, ok := strings.CutPrefix(rest, "END"); ok {
			rest = label
		} else {
			continue
		}
		label := strings.IndexByte(rest[:min(len(rest), maxLabel)], '-')
		if label >= 0 {
			m.label = rest[:label]
			// Files that are put together may lack the line end in between: what follows has dashes of its own.
			m.end = len(plain) - len(rest) + label + len(dashes)
		}
		whole := before >= len(dashes) && spaced == word
		if !whole && labelled(m.label) == Other {
			continue // "-- END OF LIST" in the text around the blocks
		}
		m.damaged = !whole || label < 0 || !strings.HasPrefix(rest[label:], dashes)
		return m, true
	}
}

// skip returns the first place at or behind at that holds another character than c.
func skip(plain string, at int, c string) int {
	for at < len(plain) && plain[at] == c[0] {
		at++
	}
	return at
}

// readBlock reads what is between two markers. It returns what is wrong with it, if anything.
func readBlock(label, body string) (Block, string) {
	kind := labelled(label)
	if strings.Contains(body, "Proc-Type:") && strings.Contains(body, "ENCRYPTED") {
		return Block{Kind: Encrypted}, "" // RFC 1421; OpenSSL's old way to encrypt a key
	}
	if kind == Parameters { // its content may have the shape of a key
		return Block{Kind: kind}, ""
	}
	content, isBase64 := decodeBase64(withoutHeaders(body))
	if block, ok := blockOf(content); ok {
		return block, ""
	}
	switch {
	case !kind.Plain():
		return Block{Kind: kind}, ""
	case !isBase64:
		return Block{}, "holds something else than base64"
	default:
		return Block{}, "holds no readable key or certificate"
	}
}

// withoutHeaders drops the lines of a block that say something about it (RFC 1421): base64 has no colon.
func withoutHeaders(body string) string {
	if !strings.Contains(body, ":") {
		return body
	}
	var lines strings.Builder
	for line := range strings.Lines(body) {
		if !strings.Contains(line, ":") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}
