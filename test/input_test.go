//go:build e2e

package test

import (
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// badInput is a request that is refused with a 400 that names a field.
type badInput struct {
	name  string
	data  map[string]any
	field string
	says  string // what the error says besides, if it matters
}

func field(name string, value any) map[string]any { return map[string]any{name: value} }

// TestBadConfig: nothing of a refused request is stored.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, map[string]any{"ttl": "5m"})
	before := m.read(t, "config")
	// One of each kind; all of them are in the unit tests (bad_input_test.go).
	for _, c := range []badInput{
		{"no https", field("base_url", "http://acme.my.workfront.com"), "base_url", "https://"},
		{"a foreign host", map[string]any{"base_url": "https://example.com", "allow_custom_host": false, "client_secret": canaryMark + "1"}, "base_url", "allow_custom_host"},
		{"client_id with a line break", field("client_id", "abc\n"), "client_id", "line break"},
		{"client_id as a list of maps", field("client_id", []any{map[string]any{"a": 1}}), "client_id", "text"},
		{"long client_secret", field("client_secret", canaryMark+strings.Repeat("a", 4096)), "client_secret", "4096"},
		{"client_secret with a line break", field("client_secret", canaryMark+"\n"), "client_secret", "@file"},
		{"client_secret as a map", field("client_secret", map[string]any{"a": echoMark + "1"}), "client_secret", ""},
		{"double dots as key", field("key", "a..b"), "key", "letters"},
		{"ttl of half a second", field("ttl", "500ms"), "ttl", "whole"},
		{"ttl of a second and a half", field("ttl", 1.5), "ttl", "whole"},
		{"ttl beyond max_ttl", map[string]any{"ttl": "2h", "max_ttl": "1h"}, "ttl", "max_ttl"},
		{"max_retries no number", field("max_retries", "many"), "max_retries", "whole number"},
		{"max_connections large", field("max_connections", 65), "max_connections", "between"},
		{"ca_cert a private key", map[string]any{"ca_cert": opensslKey(t).private, "client_secret": w.App.ClientSecret}, "ca_cert", ""},
		{"allow_custom_host no bool", field("allow_custom_host", "maybe"), "allow_custom_host", "true or false"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := m.client.Logical().Write(m.path+"/config", c.data)
			wantError(t, err, 400, c.field, c.says)
			_, err = m.patch(c.data)
			wantError(t, err, 400, c.field, c.says)
		})
	}
	for _, name := range []string{"ttl", "client_secret"} {
		_, err := m.client.Logical().Write(m.path+"/config", field(name, nil))
		wantError(t, err, 400, name, "null", "vault patch")
	}
	if after := m.read(t, "config"); !reflect.DeepEqual(before, after) {
		t.Errorf("config is\n%v after the refused writes, was\n%v", after, before)
	}
	m.revoke(t, m.token(t, "")) // the client secret is what it was
}

// TestIncompleteConfig leaves out what is required.
func TestIncompleteConfig(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	for _, name := range []string{"base_url", "client_id", "client_secret", "customer_id"} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(w.settings())
			delete(data, name)
			_, err := m.client.Logical().Write(m.path+"/config", data)
			wantError(t, err, 400, name, "required")
			if stored := m.read(t, "config"); stored != nil {
				t.Errorf("config is stored in part: %v", stored)
			}
		})
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	key := opensslKey(t)
	m.write(t, "keys/taken/import", field("private_key", key.private))
	private := func(text string) map[string]any {
		leaks.addPrivateKey(text)
		return field("private_key", text)
	}
	made := func(args ...string) map[string]any { return private(openssl(t, args...)) }
	elsewhere, err := adobeKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	public := openssl(t, "pkey", "-in", key.privateFile, "-pubout")
	generate, take := "keys/new/generate", "keys/new/import"
	for _, c := range []struct {
		path string
		badInput
	}{
		{"keys/a..b/generate", badInput{"double dots", nil, "name", "letters"}},
		{"keys/" + strings.Repeat("a", 64) + "/generate", badInput{"a long name", nil, "name", "63"}},
		{"keys/a b/generate", badInput{"a space in the name", nil, "name", "letters"}},
		{"keys/taken/generate", badInput{"generate over a key", nil, "name", "never overwritten"}},
		{"keys/taken/import", badInput{"import over a key", private(key.private), "name", "never overwritten"}},
		{generate, badInput{"key_bits small", field("key_bits", 1024), "key_bits", "2048"}},
		{generate, badInput{"key_bits odd", field("key_bits", 2049), "key_bits", "2048"}},
		{generate, badInput{"key_bits no number", field("key_bits", "big"), "key_bits", ""}},
		{generate, badInput{"common_name long", field("common_name", strings.Repeat("a", 65)), "common_name", "64"}},
		{generate, badInput{"common_name as a map", field("common_name", map[string]any{"a": 1}), "common_name", ""}},
		{generate, badInput{"certificate_ttl short", field("certificate_ttl", "59m"), "certificate_ttl", "1h"}},
		{generate, badInput{"certificate_ttl of half a second", field("certificate_ttl", "3600500ms"), "certificate_ttl", "whole"}},
		{take, badInput{"no private_key", nil, "private_key", "required"}},
		{take, badInput{"not PEM", field("private_key", "hello"), "private_key", "PEM"}},
		{take, badInput{"private_key as a map", field("private_key", map[string]any{"a": echoMark + "2"}), "private_key", ""}},
		{take, badInput{"private_key too long", field("private_key", strings.Repeat(key.private, 40)), "private_key", "64 KiB"}},
		{take, badInput{"damaged", field("private_key", strings.Replace(key.private, "MII", "MIJ", 1)), "private_key", "damaged"}},
		{take, badInput{"encrypted, PKCS#8", made("pkcs8", "-topk8", "-in", key.privateFile, "-passout", "pass:x"), "private_key", "openssl pkey"}},
		{take, badInput{"encrypted, PKCS#1", made("rsa", "-in", key.privateFile, "-aes128", "-traditional", "-passout", "pass:x"), "private_key", "openssl pkey"}},
		{take, badInput{"elliptic curve", made("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), "private_key", "RSA"}},
		{take, badInput{"Ed25519", made("genpkey", "-algorithm", "ed25519"), "private_key", "RSA"}},
		{take, badInput{"RSA 1024", made("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"), "private_key", "1024"}},
		{take, badInput{"a certificate instead", field("private_key", key.certificate), "private_key", "certificate"}},
		{take, badInput{"a public key instead", field("private_key", public), "private_key", "public key"}},
		{take, badInput{"several keys", field("private_key", key.private+elsewhere.private), "private_key", "more than one"}},
		{take, badInput{"with the certificate of another key", field("private_key", key.private+elsewhere.certificate), "private_key", "another key"}},
		{take, badInput{"certificate of another key", map[string]any{"private_key": key.private, "certificate": elsewhere.certificate}, "certificate", "another key"}},
		{take, badInput{"a key as certificate", map[string]any{"private_key": key.private, "certificate": key.private}, "certificate", "CERTIFICATE"}},
		{take, badInput{"certificate not PEM", map[string]any{"private_key": key.private, "certificate": "hello"}, "certificate", "PEM"}},
		{take, badInput{"certificate and common_name", map[string]any{"private_key": key.private, "certificate": key.certificate, "common_name": "a"}, "common_name", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := m.client.Logical().Write(m.path+"/"+c.path, c.data)
			wantError(t, err, 400, c.field, c.says)
		})
	}
	list, err := m.client.Logical().List(m.path + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	if got := list.Data["keys"].([]any); len(got) != 1 || got[0] != "taken" {
		t.Errorf("keys are %v, want taken alone", got)
	}
}

// TestKeyForms are ways in which a good key arrives.
func TestKeyForms(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := enable(t, sharedVault(t), uniqueName(t), w)
	key := opensslKey(t)
	dir := t.TempDir()
	pkcs1 := openssl(t, "rsa", "-in", key.privateFile, "-traditional")
	leaks.addPrivateKey(pkcs1)
	large := filepath.Join(dir, "large.key")
	openssl(t, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", large)
	larger := openssl(t, "pkey", "-in", large)
	leaks.addPrivateKey(larger)
	want := strings.TrimSpace(openssl(t, "pkey", "-in", key.privateFile, "-pubout"))
	for _, c := range []struct{ name, private, certificate, public string }{
		{"pkcs1", pkcs1, "", want},
		{"crlf", strings.ReplaceAll(key.private, "\n", "\r\n"), strings.ReplaceAll(key.certificate, "\n", "\r\n"), want},
		{"literal", strings.ReplaceAll(key.private, "\n", `\n`), strings.ReplaceAll(key.certificate, "\n", `\n`), want},
		{"no-end", strings.TrimSpace(key.private), "", want},
		{"rsa3072", larger, "", strings.TrimSpace(openssl(t, "pkey", "-in", large, "-pubout"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := field("private_key", c.private)
			if c.certificate != "" {
				data["certificate"] = c.certificate
			}
			answer := m.write(t, "keys/"+c.name+"/import", data).Data
			if got, _ := answer["public_key"].(string); strings.TrimSpace(got) != c.public {
				t.Errorf("public_key is\n%s\nopenssl says\n%s", got, c.public)
			}
			if answer["source"] != "imported" {
				t.Errorf("source is %v, want imported", answer["source"])
			}
		})
	}
}

func TestBadTokenTTL(t *testing.T) {
	t.Parallel()
	w := startWorkfront(t, 0)
	m := issuing(t, sharedVault(t), w, nil)
	for _, ttl := range []string{"500ms", "1.5", "1500ms", "0", "0s", "-1s", "soon", "99999999h"} {
		t.Run(ttl, func(t *testing.T) {
			_, err := m.readToken(ttl)
			wantError(t, err, 400, "ttl")
		})
	}
	if n := w.Stats().Exchanges; n != 0 {
		t.Errorf("%d exchanges for bad requests, want none", n)
	}
}
