package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"vault-plugin-secrets-workfront/internal/settings"
)

// Characters that nobody sees are refused by name and place; of the secret, the place alone is told.
func TestInvisibleCharacters(t *testing.T) {
	f := newFixture(t, nil)
	for r, name := range map[rune]string{
		0x00A0: "no-break space", 0x00AD: "soft hyphen", 0x034F: "combining grapheme joiner", 0x061C: "Arabic letter mark",
		0x115F: "Hangul choseong filler", 0x1160: "Hangul jungseong filler", 0x17B4: "", 0x180B: "", 0x180E: "Mongolian vowel separator",
		0x1680: "", 0x2000: "", 0x2003: "", 0x2009: "thin space", 0x200B: "zero width space", 0x200C: "zero width non-joiner",
		0x200D: "zero width joiner", 0x200E: "left-to-right mark", 0x2028: "line separator", 0x202E: "right-to-left override",
		0x202F: "narrow no-break space", 0x2060: "word joiner", 0x2061: "", 0x2066: "left-to-right isolate", 0x2800: "blank braille pattern",
		0x3000: "ideographic space", 0x3164: "Hangul filler", 0xFE0F: "variation selector-16", 0xFEFF: "byte order mark",
		0xFFA0: "halfwidth Hangul filler", 0xFFF9: "", 0xE0041: "", 0xE0100: "", 0xE000: "", 0xFDD0: "",
		'\t': "tab", '\n': "line break", '\r': "carriage return", 0: "null character", 0x7F: "control character", 0x9B: "control character",
	} {
		for field, write := range map[string]func(text string) error{
			settings.FieldClientID:     f.tryConfig(settings.FieldClientID),
			settings.FieldCustomerID:   f.tryConfig(settings.FieldCustomerID),
			settings.FieldUserID:       f.tryConfig(settings.FieldUserID),
			settings.FieldClientSecret: f.tryConfig(settings.FieldClientSecret),
			"user_id of a role": func(text string) error {
				_, err := f.WriteRole(t.Context(), f.storage, mount, "r", settings.RoleWrite{Changes: settings.Changes{settings.FieldUserID: text}})
				return err
			},
		} {
			for place, text := range map[int]string{1: string(r) + "abc", 3: "ab" + string(r) + "c", 4: "abc" + string(r)} {
				err := write(text)
				if field == settings.FieldClientSecret {
					wantInputError(t, err, field, fmt.Sprintf("as character %d of 4", place))
					if strings.Contains(err.Error(), "U+") {
						t.Errorf("the error quotes the secret: %v", err)
					}
					continue
				}
				wantInputError(t, err, strings.Fields(field)[0], fmt.Sprintf("U+%04X", r), name, fmt.Sprintf("as character %d of 4", place))
			}
		}
	}
}

// What a wrong encoding leaves of a letter is refused wherever text is stored, by its place.
func TestReplacementCharacters(t *testing.T) {
	f := newFixture(t, nil)
	writes := map[string]func(text string) error{
		settings.FieldDescription: func(text string) error {
			_, err := f.WriteRole(t.Context(), f.storage, mount, "r",
				settings.RoleWrite{Changes: settings.Changes{settings.FieldDescription: text}})
			return err
		},
		"user_id of a role": func(text string) error {
			_, err := f.WriteRole(t.Context(), f.storage, mount, "r",
				settings.RoleWrite{Changes: settings.Changes{settings.FieldUserID: text}})
			return err
		},
		settings.FieldCommonName: func(text string) error {
			_, err := f.GenerateKey(t.Context(), f.storage, "k", 2048, settings.Changes{settings.FieldCommonName: text})
			return err
		},
	}
	for _, field := range []string{
		settings.FieldClientID, settings.FieldCustomerID, settings.FieldUserID, settings.FieldClientSecret,
		settings.FieldBaseURL, settings.FieldKey, settings.FieldAPIVersion,
	} {
		writes[field] = f.tryConfig(field)
	}
	for field, write := range writes {
		for _, lost := range []string{"\uFFFD", "\xe9", "\xed\xa0\x80"} {
			err := write("M" + lost + "ller")
			wantInputError(t, err, strings.Fields(field)[0], "a replacement character", "as character 2 of ", "UTF-8")
			if strings.Contains(err.Error(), "ller") {
				t.Errorf("%s: the error quotes the text: %v", field, err)
			}
		}
	}
}

// tryConfig returns a function that writes one field of config.
func (f *fixture) tryConfig(field string) func(text string) error {
	return func(text string) error {
		_, err := f.WriteConfig(f.t.Context(), f.storage, mount, settings.ConfigWrite{Changes: settings.Changes{field: text}})
		return err
	}
}

const workfrontID = "5f1a2b3c4d5e6f708192a3b4c5d6e7f8"

// The address of a user's page yields the ID in it; what cannot be an ID is warned of.
func TestUserID(t *testing.T) {
	f := newFixture(t, nil)
	f.write(settings.Changes{settings.FieldCustomerID: workfrontID})
	for _, tt := range []struct{ given, want string }{
		{workfrontID, workfrontID},
		{strings.ToUpper(workfrontID), strings.ToUpper(workfrontID)},
		{"https://acme.my.workfront.com/user/" + workfrontID, workfrontID},
		{"https://acme.my.workfront.com/user/" + workfrontID + "/updates", workfrontID},
		{"https://acme.my.workfront.com/user/" + workfrontID + "?tab=1#x", workfrontID},
		{"https://acme.my.workfront.com/user/view?ID=" + workfrontID, workfrontID},
		{"https://acme.my.workfront.com/user/view?tab=1&ID=" + workfrontID + "&x=y", workfrontID},
		{"https://experience.adobe.com/#/@acme/so:acme-Production/workfront/user/" + workfrontID + "/details", workfrontID},
		{"/user/" + workfrontID, workfrontID},
		{"user/" + workfrontID + "/", workfrontID},
		{"https://acme.my.workfront.com/project/" + workfrontID, ""},
		{"https://acme.my.workfront.com/user/" + workfrontID + "0", ""},
		{"jane.doe@example.com", ""},
		{"5f1a2b3c-4d5e-6f70-8192-a3b4c5d6e7f8", ""},
	} {
		for _, role := range []string{"", "r"} {
			var warnings []string
			if role == "" {
				warnings = f.write(settings.Changes{settings.FieldUserID: tt.given})
			} else {
				warnings = f.writeRole(role, settings.Changes{settings.FieldUserID: tt.given, settings.FieldKey: "default"})
			}
			want := tt.want
			if want == "" {
				want = tt.given
			}
			if got := f.resolve(role).Source.UserID; got != want {
				t.Errorf("%q in %q: got %q, want %q", tt.given, role, got, want)
			}
			if warned := has(warnings, "user_id does not look like a Workfront ID"); warned != (tt.want == "") {
				t.Errorf("%q in %q: warnings: got %q", tt.given, role, warnings)
			}
		}
	}
	if warnings := f.write(settings.Changes{settings.FieldCustomerID: "acme"}); !has(warnings, "customer_id does not look like") {
		t.Errorf("customer_id: warnings: got %q", warnings)
	}
}

// What people see may hold more than what is compared.
func TestDescriptionMayHoldEmoji(t *testing.T) {
	f := newFixture(t, nil)
	f.writeRole("r", settings.Changes{settings.FieldDescription: "reports \u2764\ufe0f \U0001F468\u200D\U0001F4BB"})
}

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"default": true, "a.b": true, "2027": true, "_-": true, "jane.doe@example.com": true, "a@b@c": true, strings.Repeat("n", 63): true,
		"": false, "@a": false, "a@": false, "a..b": false, "a@@b": false, "a.@b": false, ".a": false, "a.": false, "a/b": false, "a b": false,
		"a+b": false, "\u0430": false, strings.Repeat("n", 64): false,
	} {
		if err := settings.CheckName(settings.FieldName, name); (err == nil) != good {
			t.Errorf("%q: got %v, want it accepted: %t", name, err, good)
		}
	}
}

// X.520 allows a common name of 64 characters.
func TestDefaultCommonName(t *testing.T) {
	f := newFixture(t, nil)
	private, err := testKeys()[0].PrivatePEM()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, want string }{
		{"k", "workfront k"},
		{strings.Repeat("n", 54), "workfront " + strings.Repeat("n", 54)},
		{strings.Repeat("n", 55), strings.Repeat("n", 55)},
		{strings.Repeat("n", 63), strings.Repeat("n", 63)},
	} {
		key, err := f.ImportKey(t.Context(), f.storage, tt.name, private, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := key.Certificate.Subject.CommonName; got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Commands work as they are printed, whatever the path of the mount holds.
func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		mount settings.Mount
		want  string
	}{
		{"workfront/", "`vault write -f workfront/keys/k/generate`"},
		{"team a/workfront/", "`vault write -f 'team a/workfront/keys/k/generate'`"},
		{"it's/", "`vault write -f 'it'\\''s/keys/k/generate'`"},
		{"$(x)/", "`vault write -f '$(x)/keys/k/generate'`"},
	} {
		if got := tt.mount.Command("write -f", "keys/k/generate"); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.mount, got, tt.want)
		}
	}
}
