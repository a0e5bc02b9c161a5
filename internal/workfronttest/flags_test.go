package workfronttest

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestBehaviourValidate(t *testing.T) {
	tests := []struct {
		name string
		b    Behaviour
		want string // "" if it makes sense
	}{
		{"zero value", Behaviour{}, ""},
		{"default", DefaultBehaviour(), ""},
		{"negative delay", Behaviour{ExchangeDelay: -1}, "cannot be negative"},
		{"negative idle time", Behaviour{SessionIdle: -1}, "cannot be negative"},
		{"negative time until it is known", Behaviour{KnownAfter: -1}, "cannot be negative"},
		{"negative Retry-After", Behaviour{RetryAfter: -time.Second}, "cannot be negative"},
		{"part of a second", Behaviour{RetryAfter: 1500 * time.Millisecond}, "whole seconds"},
		{"negative limit", Behaviour{MaxCalls: -1}, "max calls -1"},
		{"logout methods", Behaviour{LogoutMethods: "get"}, `unknown logout methods "get"`},
		{"logout refusal", Behaviour{LogoutRefusal: 403}, "logout refusal 403 is none of"},
		{"refusal form", Behaviour{RefusalForm: "xml"}, `unknown refusal form "xml"`},
		{"session resource", Behaviour{SessionResource: "wrong"}, `unknown session resource "wrong"`},
		{"dead session", Behaviour{DeadSession: "silence"}, `unknown dead session "silence"`},
		{"dead session's status", Behaviour{DeadSessionStatus: 99}, "not between 200 and 599"},
		{"nothing tells", Behaviour{DeadSession: DeadByStatus, DeadSessionStatus: 400}, "needs the status 401"},
		{"401 tells", Behaviour{DeadSession: DeadByStatus, DeadSessionStatus: 401}, ""},
		{"unknown path", Behaviour{UnknownPathStatus: 500}, "neither 404 nor 200"},
		{"version", Behaviour{RetiredVersions: []string{"v16.0", "16"}}, `retired version "16"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.b.Validate()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestSetBehaviourPanics(t *testing.T) {
	f := newFixture(t, Options{})
	defer func() {
		if recover() == nil {
			t.Error("a behaviour that makes no sense was taken")
		}
	}()
	f.SetBehaviour(Behaviour{MaxCalls: -1})
}

func TestStartRefusesBehaviour(t *testing.T) {
	s, err := Start(Options{Behaviour: &Behaviour{MaxCalls: -1}})
	if err == nil {
		s.Close()
		t.Error("a behaviour that makes no sense was taken")
	}
}

// A command line and the administration API set the same fields to the same values.
func TestFlagsAndMembers(t *testing.T) {
	expires, omit := `"3600"`, OmitExpiresIn
	tests := []struct {
		flag, member string
		want         Behaviour
	}{
		{`-expires-in="3600"`, `"expires_in":"3600"`, Behaviour{ExpiresIn: &expires}},
		{`-omit-expires-in`, `"omit_expires_in":true`, Behaviour{ExpiresIn: &omit}},
		{`-omit-expires-in=false`, `"omit_expires_in":false`, Behaviour{}},
		{`-refresh-token`, `"refresh_token":true`, Behaviour{RefreshToken: true}},
		{`-same-session`, `"same_session":true`, Behaviour{SameSession: true}},
		{`-certificate-dates`, `"certificate_dates":true`, Behaviour{CertificateDates: true}},
		{`-clock-offset=-1m`, `"clock_offset":"-1m"`, Behaviour{ClockOffset: -time.Minute}},
		{`-logout-answer={}`, `"logout_answer":"{}"`, Behaviour{LogoutAnswer: "{}"}},
		{`-exchange-delay=2s`, `"exchange_delay":"2s"`, Behaviour{ExchangeDelay: 2 * time.Second}},
		{`-echo-refusals`, `"echo_refusals":true`, Behaviour{EchoRefusals: true}},
		{`-max-calls=3`, `"max_calls":3`, Behaviour{MaxCalls: 3}},
		{`-retry-after=5s`, `"retry_after":"5s"`, Behaviour{RetryAfter: 5 * time.Second}},
		{`-session-idle=15m`, `"session_idle":"15m"`, Behaviour{SessionIdle: 15 * time.Minute}},
		{`-known-after=1.5s`, `"known_after":"1.5s"`, Behaviour{KnownAfter: 1500 * time.Millisecond}},
		{`-logout-methods=POST`, `"logout_methods":"POST"`, Behaviour{LogoutMethods: LogoutPOST}},
		{`-logout-refusal=404`, `"logout_refusal":404`, Behaviour{LogoutRefusal: 404}},
		{`-refusal-form=rfc6749`, `"refusal_form":"rfc6749"`, Behaviour{RefusalForm: RefusalRFC6749}},
		{`-tell-reasons`, `"tell_reasons":true`, Behaviour{TellReasons: true}},
		{`-errors-as-html`, `"errors_as_html":true`, Behaviour{ErrorsAsHTML: true}},
		{`-byte-order-mark`, `"byte_order_mark":true`, Behaviour{ByteOrderMark: true}},
		{`-retired-versions=v16.0,v17.0`, `"retired_versions":["v16.0","v17.0"]`, Behaviour{RetiredVersions: []string{"v16.0", "v17.0"}}},
		{`-retired-versions=`, `"retired_versions":[]`, Behaviour{}},
		{`-session-resource=absent`, `"session_resource":"absent"`, Behaviour{SessionResource: SessionAbsent}},
		{`-dead-session=message`, `"dead_session":"message"`, Behaviour{DeadSession: DeadByMessage}},
		{`-dead-session-status=200`, `"dead_session_status":200`, Behaviour{DeadSessionStatus: 200}},
		{`-unknown-path-status=200`, `"unknown_path_status":200`, Behaviour{UnknownPathStatus: 200}},
	}
	seen := map[string]bool{}
	for _, test := range tests {
		t.Run(test.flag, func(t *testing.T) {
			want := test.want
			_ = want.setMembers(nil) // puts defaults in the place of zero values
			var flagged, named Behaviour
			fs := flag.NewFlagSet("", flag.ContinueOnError)
			flagged.Flags(fs)
			fatal(t, fs.Parse([]string{test.flag}))
			fs.Visit(func(f *flag.Flag) { seen[f.Name] = true })
			if !reflect.DeepEqual(flagged, want) {
				t.Errorf("flag\n got %+v\nwant %+v", flagged, want)
			}
			var members map[string]json.RawMessage
			fatal(t, json.Unmarshal([]byte("{"+test.member+"}"), &members))
			fatal(t, named.setMembers(members))
			if !reflect.DeepEqual(named, want) {
				t.Errorf("member\n got %+v\nwant %+v", named, want)
			}
		})
	}
	var all Behaviour
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	all.Flags(fs)
	fs.VisitAll(func(f *flag.Flag) {
		if !seen[f.Name] {
			t.Errorf("-%s is in no test", f.Name)
		}
	})
}

func TestFlagDefaults(t *testing.T) {
	b := DefaultBehaviour()
	var help bytes.Buffer
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.SetOutput(&help)
	b.Flags(fs)
	fs.PrintDefaults()
	for _, want := range []string{"(default true)", "(default both)", "(default 405)", "(default oauth-service)", "(default v14.0,v15.0,v16.0)"} {
		if !strings.Contains(help.String(), want) {
			t.Errorf("the help lacks %q:\n%s", want, &help)
		}
	}
	fs.SetOutput(io.Discard)
	if err := fs.Parse([]string{"-logout-methods=PUT"}); err == nil {
		t.Error("an unknown word was taken")
	}
	fatal(t, b.Validate())
}

// What the administration API leaves out goes back to what the server started with.
func TestAdminResetsToTheStart(t *testing.T) {
	start := DefaultBehaviour()
	start.MaxCalls, start.RetiredVersions = 5, []string{"v17.0"}
	f := newFixture(t, Options{Admin: true, Behaviour: &start})
	if got := f.administer("PUT", "behaviour", `{"max_calls":1,"retired_versions":["v18.0"],"same_session":true}`); got.status != 204 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := f.currentBehaviour(); got.MaxCalls != 1 || got.RetiredVersions[0] != "v18.0" || !got.SameSession || !got.RefreshToken {
		t.Errorf("set: got %+v", got)
	}
	if got := f.administer("PUT", "behaviour", `{}`); got.status != 204 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := f.currentBehaviour(); got.MaxCalls != 5 || got.RetiredVersions[0] != "v17.0" || got.SameSession {
		t.Errorf("reset: got %+v", got)
	}
}
