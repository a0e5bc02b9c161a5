package workfront

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// around is what is set aside around a word, behind what is set aside behind it.
	around = "\"'`()[]{}<>“”‘’„«»"
	behind = ".,;:!?"
	// joining is what may join the parts of a word.
	joining = "_-./:='"
	// omitted stands for words that are not shown.
	omitted = "…"
)

// wording returns what is shown of a text of Workfront's, on one line, and how many words the text has. What is shown
// is a function of the text alone: words of a fixed vocabulary, and omitted for the others. So it cannot hold a
// credential, in whatever spelling (escaped, encoded, split, reversed), and reveals nothing to a caller who chooses
// what Workfront repeats, such as the user_id of a role: it is never compared with what was sent. cut says that the
// text goes on, so that its last word may be a part of one. ok is false if fewer than half of the words are shown.
func wording(text string, cut bool) (shown string, words int, ok bool) {
	if cut { // its last word becomes one that is not shown
		text = text[:strings.LastIndexAny(text, " \t\r\n")+1] + omitted
	}
	var line strings.Builder
	punctuation := "" // of the last word, if that is omitted
	put := func(word string) {
		line.WriteString(punctuation)
		if punctuation = ""; line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(word)
	}
	passed, omits := 0, false // omits: the line ends with omitted
	for field := range strings.FieldsSeq(text) {
		words++
		if isWord(field) {
			passed++
			put(field)
			omits = false
			continue
		}
		if name := strings.IndexAny(field, "=:"); name >= 0 && isWord(field[:name]) {
			put(field[:name+1] + omitted)
		} else if !omits {
			put(omitted)
		}
		omits = true
		punctuation = field[len(strings.TrimRight(field, ".,;:")):]
		punctuation = punctuation[max(0, len(punctuation)-1):]
	}
	line.WriteString(punctuation)
	return line.String(), words, words > 0 && 2*passed >= words
}

// isWord reports whether field, apart from quotes, brackets and punctuation, is a word of the vocabulary, or several
// that are joined.
func isWord(field string) bool {
	core := strings.TrimLeft(strings.TrimRight(field, behind+around), around)
	if strings.ContainsFunc(core, func(r rune) bool { return r > '~' }) {
		return false // the Kelvin sign is a k in lower case
	}
	if isKnown(core) { // such as e.g
		return true
	}
	parts := 0
	unknown := func(hump string) bool { return !isKnown(hump) }
	joins := func(r rune) bool { return strings.ContainsRune(joining, r) }
	for part := range strings.FieldsFuncSeq(core, joins) {
		if parts++; !isKnown(part) && slices.ContainsFunc(humps(part), unknown) {
			return false
		}
	}
	return parts > 0
}

// isCode reports whether text is a code that is shown: one word of letters and underscores, such as invalid_client or
// UnauthorizedError.
func isCode(text string) bool {
	isOther := func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }
	return !strings.ContainsFunc(text, isOther) && isWord(text)
}

// notShown stands for a text of which too little would be shown.
func notShown(words int) string {
	if words == 1 {
		return "(not shown: 1 word)"
	}
	return fmt.Sprintf("(not shown: %d words)", words)
}

// humps splits camel case: accessToken, APIModel, sessionID.
func humps(part string) []string {
	var words []string
	start := 0
	for i := 1; i < len(part); i++ {
		begins := isUpper(part[i]) && !isUpper(part[i-1])
		// The last capital of several begins a word if a small letter follows it.
		ends := isUpper(part[i]) && isUpper(part[i-1]) && i+1 < len(part) && !isUpper(part[i+1])
		if begins || ends {
			words = append(words, part[start:i])
			start = i
		}
	}
	return append(words, part[start:])
}

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }
