package settings

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// invisibleNames are the characters that get into IDs by copying from pages, documents and chats, or from files.
var invisibleNames = map[rune]string{
	'\t':     "tab",
	'\n':     "line break",
	'\r':     "carriage return",
	0:        "null character",
	0x00A0:   "no-break space",
	0x00AD:   "soft hyphen",
	0x034F:   "combining grapheme joiner",
	0x061C:   "Arabic letter mark",
	0x115F:   "Hangul choseong filler",
	0x1160:   "Hangul jungseong filler",
	0x180E:   "Mongolian vowel separator",
	0x2007:   "figure space",
	0x2009:   "thin space",
	0x200B:   "zero width space",
	0x200C:   "zero width non-joiner",
	0x200D:   "zero width joiner",
	0x200E:   "left-to-right mark",
	0x200F:   "right-to-left mark",
	0x2028:   "line separator",
	0x2029:   "paragraph separator",
	0x202A:   "left-to-right embedding",
	0x202B:   "right-to-left embedding",
	0x202C:   "pop directional formatting",
	0x202D:   "left-to-right override",
	0x202E:   "right-to-left override",
	0x202F:   "narrow no-break space",
	0x2060:   "word joiner",
	0x2066:   "left-to-right isolate",
	0x2067:   "right-to-left isolate",
	0x2068:   "first strong isolate",
	0x2069:   "pop directional isolate",
	0x2800:   "blank braille pattern",
	0x3000:   "ideographic space",
	0x3164:   "Hangul filler",
	0xFE0F:   "variation selector-16",
	0xFEFF:   "byte order mark",
	0xFFA0:   "halfwidth Hangul filler",
	0xFFFC:   "object replacement character",
	0x1D173:  "musical symbol begin beam",
	0xE0001:  "language tag",
	0x10FFFF: "noncharacter",
}

// isInvisible finds what nobody sees: controls, formats, blanks of all kinds but the space, and what Unicode says is
// ignored unless it is supported.
func isInvisible(r rune) bool {
	return r != ' ' && (unicode.IsSpace(r) || r == 0x2800 || r == 0xFFFC || unicode.In(r, unicode.C, unicode.Z,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point) || r == 0x034F)
}

// setID takes an ID or another text that is compared as a whole, in which nobody looks for what cannot be seen. The
// error names what it found and its place; of a secret, the place alone.
func setID(name string, target *string, maxLength int, required, secret bool) setter {
	set := setText(name, target, maxLength, required)
	return func(value any) error {
		text, _ := value.(string)
		place := 0
		for _, r := range text {
			if place++; place > maxLength {
				break // it is too long, and the setter says so
			}
			if r == utf8.RuneError {
				return misencoded(name, place, text)
			}
			if !isInvisible(r) {
				continue
			}
			what := "an invisible character"
			if !secret {
				what = fmt.Sprintf("an invisible character (%s)", characterName(r))
			}
			hint := "type it again, or paste it without its formatting"
			if strings.ContainsRune("\r\n", r) {
				hint = "check how it was passed (a value read by @file ends in a line break if the file does)"
			}
			return BadField(name, "holds %s as character %d of %d; %s", what, place, utf8.RuneCountInString(text), hint)
		}
		return set(value)
	}
}

// misencoded is the error for text with U+FFFD, or with bytes that are not UTF-8, which JSON decoders turn into U+FFFD:
// a letter was lost when the text was read in the wrong encoding. It quotes nothing, because the text may be a secret.
func misencoded(name string, place int, text string) error {
	return BadField(name, "holds a replacement character (a letter was lost in the wrong encoding) as character "+
		"%d of %d; save the text as UTF-8, or type it again", place, utf8.RuneCountInString(text))
}

func characterName(r rune) string {
	code := fmt.Sprintf("U+%04X", r)
	switch name := invisibleNames[r]; {
	case name != "":
		return code + ", " + name
	case unicode.IsControl(r):
		return code + ", a control character"
	default:
		return code
	}
}

// userPage finds the ID in the address of a user's page in Workfront, in any of its forms.
var userPage = regexp.MustCompile(`(?i)(?:^|/)user/(?:view)?(?:\?(?:[^#]*&)?ID=)?([0-9a-f]{32})(?:$|[/?#&])`)

// setUserID takes the ID of a user. Of the address of a user's page it takes the ID in it.
func setUserID(target *string) setter {
	return func(value any) error {
		text, _ := value.(string)
		if found := userPage.FindStringSubmatch(text); found != nil && len(text) <= maxURLLength {
			value = found[1]
		}
		return setID(FieldUserID, target, maxIDLength, false, false)(value)
	}
}

// workfrontID is the form of every ID that Workfront is known to give.
var workfrontID = regexp.MustCompile(`^[0-9A-Fa-f]{32}$`)

// namedID is an ID, and the field that it was given in.
type namedID struct{ field, value string }

// idWarnings warns of what can hardly be an ID of Workfront's. It is no error, because no documentation says what an
// ID is.
func idWarnings(ids ...namedID) []string {
	var warnings []string
	for _, id := range ids {
		if id.value != "" && !workfrontID.MatchString(id.value) {
			warnings = append(warnings, fmt.Sprintf("%s does not look like a Workfront ID, which has 32 hexadecimal digits. %s",
				id.field, whereToFind[id.field]))
		}
	}
	return warnings
}

var whereToFind = map[string]string{
	FieldUserID:     "The ID of a user is in the address of the user's page in Workfront; an e-mail address or a name is no ID.",
	FieldCustomerID: "The Customer ID is in the details of the OAuth2 application in Workfront.",
}
