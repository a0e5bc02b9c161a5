package workfronttest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// What can be chosen, the default first.

func logoutMethods() []LogoutMethods { return []LogoutMethods{LogoutBoth, LogoutGET, LogoutPOST} }

func logoutRefusals() []int { return []int{405, 200, 400, 404, 410} }

func refusalForms() []RefusalForm {
	return []RefusalForm{RefusalOAuthService, RefusalRFC6749, RefusalAPI, RefusalMessage}
}

func sessionResources() []SessionResource {
	return []SessionResource{SessionPresent, SessionAbsent, SessionPage, SessionOtherUser, SessionOtherCustomer}
}

func deadSessions() []DeadSession { return []DeadSession{DeadByClass, DeadByMessage, DeadByStatus} }

// Flags defines a flag for each field of b, whose default is what b holds. The administration API takes the same names,
// with underscores.
func (b *Behaviour) Flags(fs *flag.FlagSet) {
	fs.Var(rawJSON{&b.ExpiresIn}, "expires-in", "`JSON` value of expires_in in the answer to an exchange, such as 0 or '\"3600\"';\n"+
		"by default the seconds that the session has left")
	fs.BoolFunc("omit-expires-in", "leave expires_in out", func(text string) error {
		if omit := OmitExpiresIn; text == "true" {
			b.ExpiresIn = &omit
		}
		return nil
	})
	fs.BoolVar(&b.RefreshToken, "refresh-token", b.RefreshToken, "answer an exchange with a refresh_token, too")
	fs.BoolVar(&b.SameSession, "same-session", b.SameSession, "return a user's living session from each exchange")
	fs.BoolVar(&b.CertificateDates, "certificate-dates", b.CertificateDates,
		"refuse a key whose certificate is not yet valid, or has expired")
	fs.DurationVar(&b.ClockOffset, "clock-offset", b.ClockOffset,
		"`duration` by which the simulator's clock is ahead, such as 2m, or behind, such as -2m")
	fs.StringVar(&b.LogoutAnswer, "logout-answer", b.LogoutAnswer,
		"`body` of the 200 that answers a logout, which is not carried out,\nsuch as '{\"data\":{\"success\":false}}'")
	fs.DurationVar(&b.ExchangeDelay, "exchange-delay", b.ExchangeDelay, "`duration` of an exchange, such as 2s")
	fs.BoolVar(&b.EchoRefusals, "echo-refusals", b.EchoRefusals, "repeat what the client sent, secrets included, in refusals")

	fs.IntVar(&b.MaxCalls, "max-calls", b.MaxCalls,
		"`number` of calls (exchanges, logouts, API) under way at a time; one more gets a 429;\n0 means no limit")
	fs.DurationVar(&b.RetryAfter, "retry-after", b.RetryAfter,
		"Retry-After of that 429, a `duration` of whole seconds; 0 sends none")
	fs.DurationVar(&b.SessionIdle, "session-idle", b.SessionIdle,
		"`duration` without a call after which a session expires, besides -session-ttl;\n0 means never")
	fs.DurationVar(&b.KnownAfter, "known-after", b.KnownAfter,
		"`duration` after its start in which the API does not know a session yet, such as 1.5s")
	fs.Var(choose(&b.LogoutMethods, logoutMethods()), "logout-methods",
		"HTTP `methods` that log a session out: both, GET or POST")
	fs.IntVar(&b.LogoutRefusal, "logout-refusal", defaultTo(b.LogoutRefusal, logoutRefusals()[0]),
		"HTTP `status` of a logout by the other method: 400, 404, 405 or 410,\nor 200 with an HTML page")
	fs.Var(choose(&b.RefusalForm, refusalForms()), "refusal-form",
		"`form` of a refused exchange: oauth-service, rfc6749, api or message")
	fs.BoolVar(&b.TellReasons, "tell-reasons", b.TellReasons,
		"name invalid_client, invalid_grant or invalid_request in a refused exchange")
	fs.BoolVar(&b.ErrorsAsHTML, "errors-as-html", b.ErrorsAsHTML, "send JSON error bodies as text/html")
	fs.BoolVar(&b.ByteOrderMark, "byte-order-mark", b.ByteOrderMark, "begin every JSON body with U+FEFF")
	fs.Var(list{&b.RetiredVersions}, "retired-versions", "comma-separated API `versions` that get a 410, such as v16.0,v17.0")
	fs.Var(choose(&b.SessionResource, sessionResources()), "session-resource",
		"`answer` of GET /attask/api/VERSION/session: present, absent (404), page (200, HTML),\nother-user or other-customer")
	fs.Var(choose(&b.DeadSession, deadSessions()), "dead-session",
		"what tells that a session is dead: the `sign` class, message or status")
	fs.IntVar(&b.DeadSessionStatus, "dead-session-status", defaultTo(b.DeadSessionStatus, 401),
		"HTTP `status` of a call with a dead session")
	fs.IntVar(&b.UnknownPathStatus, "unknown-path-status", defaultTo(b.UnknownPathStatus, 404),
		"HTTP `status` of an unknown path: 404, or 200 with an HTML page")
}

func defaultTo(value, otherwise int) int {
	if value == 0 {
		return otherwise
	}
	return value
}

// setMembers sets the fields that a JSON object names.
func (b *Behaviour) setMembers(members map[string]json.RawMessage) error {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	b.Flags(fs)
	for _, name := range slices.Sorted(maps.Keys(members)) { // expires_in before omit_expires_in, which wins
		f := fs.Lookup(strings.ReplaceAll(name, "_", "-"))
		if f == nil || strings.Contains(name, "-") {
			return fmt.Errorf("unknown field %q", name)
		}
		text, err := flagText(f.Value, members[name])
		if err == nil {
			err = f.Value.Set(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return b.Validate()
}

// flagText makes what a flag takes of a JSON value: numbers and booleans are none in quotes.
func flagText(value flag.Value, raw json.RawMessage) (string, error) {
	if _, ok := value.(rawJSON); ok {
		return string(raw), nil
	}
	if string(raw) == "null" {
		return "", errors.New("leave it out to reset it")
	}
	if _, ok := value.(list); ok {
		var texts []string
		err := json.Unmarshal(raw, &texts)
		return strings.Join(texts, ","), err
	}
	if boolean, ok := value.(interface{ IsBoolFlag() bool }); ok && boolean.IsBoolFlag() {
		var b bool
		err := json.Unmarshal(raw, &b)
		return fmt.Sprint(b), err
	}
	if getter, ok := value.(flag.Getter); ok {
		if _, ok := getter.Get().(int); ok {
			var n int
			err := json.Unmarshal(raw, &n)
			return fmt.Sprint(n), err
		}
	}
	var text string
	err := json.Unmarshal(raw, &text)
	return text, err
}

// rawJSON is a flag for any JSON value.
type rawJSON struct{ value **string }

func (r rawJSON) String() string {
	if r.value == nil || *r.value == nil {
		return ""
	}
	return **r.value
}

// Set takes malformed JSON, too: that is what a client may be sent.
func (r rawJSON) Set(text string) error {
	*r.value = &text
	return nil
}

// choice is a flag for one of a few words.
type choice[T ~string] struct {
	value   *T
	allowed []T
}

func choose[T ~string](value *T, allowed []T) choice[T] {
	if *value == "" {
		*value = allowed[0]
	}
	return choice[T]{value, allowed}
}

func (c choice[T]) String() string {
	if c.value == nil {
		return ""
	}
	return string(*c.value)
}

func (c choice[T]) Set(text string) error {
	if !slices.Contains(c.allowed, T(text)) {
		return fmt.Errorf("%q is none of %q", text, c.allowed)
	}
	*c.value = T(text)
	return nil
}

// list is a flag for words with commas in between.
type list struct{ values *[]string }

func (l list) String() string {
	if l.values == nil {
		return ""
	}
	return strings.Join(*l.values, ",")
}

func (l list) Set(text string) error {
	*l.values = nil
	if text == "" {
		return nil
	}
	*l.values = strings.Split(text, ",")
	if slices.Contains(*l.values, "") {
		return errors.New("there is an empty word")
	}
	return nil
}
