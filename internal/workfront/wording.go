package workfront

import (
	"strings"
	"time"
	"unicode"
)

const (
	// maxUnknownRun is how many letters in a row may be no word of the vocabulary: what is longer could be (part
	// of) a credential.
	maxUnknownRun = 11
	// maxNumber is how many digits a number may have, and maxDigits all numbers of a text.
	maxNumber, maxDigits = 7, 12
	// maxPieces is how many words may be joined, as in com.attask.common.AuthenticationException.
	maxPieces = 12
)

const (
	opening = "\"'`([“‘„«"
	closing = "\"'`)].,;:!?”’»…"
	joining = "_-./:'’("
)

// sentence tells whether text, by its form, is a sentence in English about the request, and returns it on one
// line. What it rejects may well be one: it has to reject whatever could quote a credential, or part of one, in
// any spelling (escaped, encoded, split, reversed), and no list of spellings is complete. So every word has to
// look like a word, and half of them have to be in the vocabulary. A word made of ordinary letters that nobody
// knows, eleven at most, is let through: the comparison with what was sent is there for it (quotes).
func sentence(text string) (oneLine string, ok bool) {
	for _, r := range text {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return "", false // zero-width and control characters have no business in a sentence
		}
	}
	var w wording
	fields := strings.Fields(text)
	for _, field := range fields {
		if !w.add(field) {
			return "", false
		}
	}
	if w.known == 0 || w.known < w.unknown || w.digits > maxDigits {
		return "", false
	}
	return strings.Join(fields, " "), true
}

// isCode tells whether text is a code such as invalid_client or UnauthorizedError.
func isCode(text string) bool {
	for _, r := range text {
		if !isLetter(r) && r != '_' {
			return false
		}
	}
	_, ok := sentence(text)
	return ok
}

// wording counts what a text is made of.
type wording struct{ known, unknown, digits int }

// add takes what stands between two spaces, and tells whether it looks like a word, or like words that are joined.
func (w *wording) add(field string) bool {
	core := strings.TrimRight(strings.TrimLeft(field, opening), closing)
	if core == "" || core == "-" || core == "–" || core == "—" {
		return true
	}
	if isKnown(core) {
		w.known++
		return true
	}
	if _, err := time.Parse(time.RFC3339, core); err == nil && len(core) <= len("2006-01-02T15:04:05.000-07:00") {
		return true // libraries name the time at which a JWT expired
	}
	pieces := strings.FieldsFunc(core, func(r rune) bool { return strings.ContainsRune(joining, r) })
	if len(pieces) > maxPieces {
		return false
	}
	run := 0 // unknown letters in this field
	for i, piece := range pieces {
		switch {
		case isKnown(piece):
			w.known++
		case isNumber(piece):
			w.digits += len(piece)
		case i > 0 && (piece == "s" || piece == "t"): // user's, doesn't, key(s)
		default:
			n, ok := w.addLetters(piece)
			if run += n; !ok || run > maxUnknownRun {
				return false
			}
		}
	}
	return true
}

// addLetters takes letters without a break, which may be words in camel case, and returns how many of them are in
// no word of the vocabulary.
func (w *wording) addLetters(piece string) (unknown int, ok bool) {
	for _, word := range humps(piece) {
		switch {
		case isKnown(word):
			w.known++
		case looksLikeWord(word):
			w.unknown++
			unknown += len(word)
		default:
			return 0, false
		}
	}
	return unknown, true
}

// humps splits camel case: accessToken, APIModel, sessionID.
func humps(piece string) []string {
	var words []string
	start := 0
	for i := 1; i < len(piece); i++ {
		begins := isUpper(piece[i]) && !isUpper(piece[i-1])
		// The last capital of several begins a word if a small letter follows it.
		ends := isUpper(piece[i]) && isUpper(piece[i-1]) && i+1 < len(piece) && !isUpper(piece[i+1])
		if begins || ends {
			words = append(words, piece[start:i])
			start = i
		}
	}
	return append(words, piece[start:])
}

// looksLikeWord tells whether the letters of word come in an order in which a language could have them. Capitals
// alone are taken for an abbreviation, of four letters at most.
func looksLikeWord(word string) bool {
	if len(word) < 3 || len(word) > maxUnknownRun {
		return false
	}
	vowels, run, sort := 0, 0, false
	for i, r := range word {
		if !isLetter(r) {
			return false
		}
		vowel := strings.ContainsRune("aeiouyAEIOUY", r)
		if vowel {
			vowels++
		}
		if i == 0 || vowel != sort {
			run, sort = 0, vowel
		}
		if run++; run > 4 || vowel && run > 3 {
			return false
		}
	}
	if strings.ToUpper(word) == word {
		return len(word) <= 4
	}
	return 5*vowels >= len(word)
}

// isNumber tells whether piece is a number of few digits, or the version of an API such as v22.
func isNumber(piece string) bool {
	digits := strings.TrimLeft(piece, "vV")
	return len(piece)-len(digits) <= 1 && digits != "" && len(digits) <= maxNumber && areDigits(digits)
}

func areDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

func isUpper(b byte) bool { return 'A' <= b && b <= 'Z' }

// minQuote is how many letters and digits in a row have to be the same as in a secret to count as a quotation of
// it: fewer would be found in many an honest message.
const minQuote = 8

// quotes tells whether text holds any of secrets, or part of one. Neither case nor what stands between letters and
// digits matters, nor whether it is read from the front or from the back. It is the second net behind sentence.
func quotes(text string, secrets []string) bool {
	said := letters(text)
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		if strings.Contains(text, secret) {
			return true
		}
		known := letters(secret)
		length := min(minQuote, len(known))
		if length == 0 {
			continue
		}
		forwards, backwards := string(known), string(reversed(known))
		for i := 0; i+length <= len(said); i++ {
			part := string(said[i : i+length])
			if strings.Contains(forwards, part) || strings.Contains(backwards, part) {
				return true
			}
		}
	}
	return false
}

// letters returns the letters and digits of text, in small letters.
func letters(text string) []rune {
	var found []rune
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			found = append(found, unicode.ToLower(r))
		}
	}
	return found
}

func reversed(text []rune) []rune {
	back := make([]rune, len(text))
	for i, r := range text {
		back[len(text)-1-i] = r
	}
	return back
}
