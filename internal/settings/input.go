package settings

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// InputError says what the client got wrong, and what to do about it. Its text is the whole answer to the client.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

// BadInput returns an *InputError with that text.
func BadInput(format string, args ...any) error { return &InputError{fmt.Sprintf(format, args...)} }

// BadField says what is wrong with a field. It must never be given the value of a secret.
func BadField(name, format string, args ...any) error {
	return &InputError{name + " " + fmt.Sprintf(format, args...)}
}

// Changes are the fields that a request holds, by name. A value is a string, a bool, an int or a time.Duration, as
// its field has it; nil resets the field to its default. What is not in it keeps its value.
type Changes map[string]any

// A setter checks the value of one field and takes it. nil resets the field to its default.
type setter func(value any) error

// apply hands the changes to the setters of their fields, in the order of the names.
func (c Changes) apply(setters map[string]setter) error {
	for _, name := range slices.Sorted(maps.Keys(setters)) {
		value, sent := c[name]
		if !sent {
			continue
		}
		if err := setters[name](value); err != nil {
			return err
		}
	}
	return nil
}

// setText takes printable text of at most maxLength bytes. An empty value is the default, unless one is required.
func setText(name string, target *string, maxLength int, required bool) setter {
	return func(value any) error {
		text, _ := value.(string)
		lost := strings.IndexRune(text, utf8.RuneError) // finds bytes that are not UTF-8, too
		switch {
		case text == "" && required:
			return BadField(name, "must not be empty")
		case len(text) > maxLength:
			return BadField(name, "is longer than %d characters; check it for a slip in pasting", maxLength)
		case lost >= 0:
			return misencoded(name, utf8.RuneCountInString(text[:lost])+1, text)
		case strings.ContainsFunc(text, isControl):
			return BadField(name, "holds a line break or another control character; check how it was passed "+
				"(a value read by @file ends in a line break if the file does)")
		case text != strings.TrimSpace(text):
			return BadField(name, "begins or ends with a space; remove it")
		}
		*target = text
		return nil
	}
}

// isControl finds what forges lines of a log, moves the cursor of a terminal or turns text round: the control
// characters of ASCII and of ISO 6429 (C1), Unicode's line ends and its marks of direction.
func isControl(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// setDuration takes a duration between low and high. 0 is accepted only if low is 0.
func setDuration(name string, target *time.Duration, low, high time.Duration) setter {
	return func(value any) error {
		duration, set := value.(time.Duration)
		if set && (duration < low || duration > high) {
			return BadField(name, "must be between %s and %s", short(low), short(high))
		}
		*target = duration
		return nil
	}
}

// setInt takes a number between low and high.
func setInt(name string, target **int, low, high int) setter {
	return func(value any) error {
		n, set := value.(int)
		switch {
		case !set:
			*target = nil
		case n < low || n > high:
			return BadField(name, "must be between %d and %d", low, high)
		default:
			*target = &n
		}
		return nil
	}
}

// setCount takes a number between low and high, where 0 stands for the default.
func setCount(name string, target *int, low, high int) setter {
	return func(value any) error {
		n, set := value.(int)
		if set && (n < low || n > high) {
			return BadField(name, "must be between %d and %d", low, high)
		}
		*target = n
		return nil
	}
}

func setBool(target *bool) setter {
	return func(value any) error {
		*target, _ = value.(bool)
		return nil
	}
}

// setOptionalBool tells false from what was never said.
func setOptionalBool(target **bool) setter {
	return func(value any) error {
		*target = nil
		if b, set := value.(bool); set {
			*target = &b
		}
		return nil
	}
}

// short writes a duration without its zero units.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// nameFormat is what keys and roles may be called: an identity's alias, too, for templated policies, which often is
// an e-mail address. It leaves out all that means something in a path, and @ in front, by which the command line
// reads a file. The SDK's framework.GenericNameRegex would let a..b through, and any length.
var nameFormat = regexp.MustCompile(`^[A-Za-z0-9_-]+([.@][A-Za-z0-9_-]+)*$`)

// CheckName checks the name of a key, a role or a session, given in field.
func CheckName(field, name string) error {
	if len(name) > maxNameLength {
		return BadField(field, "is longer than %d characters", maxNameLength)
	}
	if !nameFormat.MatchString(name) {
		return BadField(field, "must consist of letters, digits, _ and -, with single dots and @ inside")
	}
	return nil
}
