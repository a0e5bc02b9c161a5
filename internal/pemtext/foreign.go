package pemtext

import (
	"strings"
	"unicode/utf8"
)

// foreignForm tells what a text that holds no PEM looks like, or 0.
func foreignForm(text, plain string) Kind {
	trimmed := strings.TrimSpace(plain)
	switch {
	case strings.HasPrefix(trimmed, "PuTTY-User-Key-File-"):
		return PuTTY
	case strings.HasPrefix(trimmed, "ssh-rsa "), strings.HasPrefix(trimmed, "ssh-ed25519 "),
		strings.HasPrefix(trimmed, "ecdsa-sha2-"):
		return SSHPublic
	case strings.HasPrefix(trimmed, "<") && strings.Contains(trimmed, "<Modulus>"):
		return DotNet
	case strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, " Modulus "):
		return DotNet
	case strings.HasPrefix(trimmed, "{") && strings.Contains(trimmed, " kty "):
		return JWK
	}
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\ufffd") {
		return binaryForm(text)
	}
	return 0
}

// binaryForm looks for what is left of the first bytes of a file when JSON has put U+FFFD in the place of each byte
// that is no UTF-8: of an object identifier, 1.2.840.113549.1.7.1, the end; of a version, all of it.
func binaryForm(text string) Kind {
	beginning := text[:min(len(text), 100)]
	const version3, data, signed = "\x02\x01\x03", "\r\x01\x07\x01", "\r\x01\x07\x02"
	switch {
	case strings.Contains(beginning, version3+"0") && strings.Contains(beginning, data):
		return PKCS12 // RFC 7292, section 4
	case strings.Contains(beginning, signed):
		return PKCS7
	}
	return Binary
}

// isUTF16 tells whether text is in UTF-16, as PowerShell writes it: of the letters of PEM, every other byte is then 0.
func isUTF16(text string) bool {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return true
	}
	return strings.Count(text, "\x00")*3 > len(text)
}
