package pemtext

import (
	"encoding/asn1"
	"strings"
)

// blockOf tells what a DER object is by its shape: the types of its first elements. Nothing in it is checked further.
func blockOf(der []byte) (Block, bool) {
	object, rest, ok := element(der)
	if !ok || object.Class != asn1.ClassUniversal || object.Tag != asn1.TagSequence {
		return Block{}, false
	}
	kind := kindOf(object.Bytes)
	if kind == Certificate && len(rest) > 0 {
		settings, tail, ok := element(rest)
		if !ok || len(tail) > 0 || settings.Tag != asn1.TagSequence {
			return Block{}, false
		}
		if hasTrust(settings.Bytes) {
			kind = TrustedCertificate
		}
		rest = nil
	}
	switch {
	case kind == 0 || len(rest) > 0:
		return Block{}, false
	case !kind.Plain():
		return Block{Kind: kind}, true
	}
	return Block{Kind: kind, DER: object.FullBytes}, true
}

// kindOf returns what the content of a SEQUENCE makes of it, or 0.
func kindOf(content []byte) Kind {
	switch s := shape(content); {
	case strings.HasPrefix(s, "IIIIIIIII"): // RFC 8017, appendix A.1.2; more than two primes follow in a SEQUENCE
		return PKCS1
	case s == "IIIIII":
		return DSA
	case s == "II": // RFC 8017, appendix A.1.1
		return PKCS1Public
	case strings.HasPrefix(s, "IST"): // RFC 5958, section 2
		return PKCS8
	case strings.HasPrefix(s, "IT"): // RFC 5915, section 3
		return EC
	case s == "SB": // RFC 5280, section 4.1
		return PublicKey
	case s == "ST": // RFC 5958, section 3
		return Encrypted
	case s == "IS", s == "ISS": // RFC 7292, section 4
		return PKCS12
	case s == "O0": // RFC 5652, section 3
		return PKCS7
	case s == "SSB":
		return kindOfSigned(content)
	}
	return 0
}

// kindOfSigned tells apart what has a signature: a certificate (RFC 5280, section 4.1), also of version 1, and a
// request for one (RFC 2986, section 4.2).
func kindOfSigned(content []byte) Kind {
	signed, _, _ := element(content)
	switch s := shape(signed.Bytes); {
	case strings.HasPrefix(s, "0ISSSSS"), strings.HasPrefix(s, "ISSSSS"):
		return Certificate
	case s == "ISS0", s == "ISS":
		return Request
	}
	return 0
}

// hasTrust tells whether settings behind a certificate (X509_CERT_AUX of OpenSSL) say what it is trusted or not
// trusted for. The others are a name and an ID.
func hasTrust(settings []byte) bool { return strings.ContainsAny(shape(settings), "S0") }

// maxShape is how many elements are looked at: the most that is needed to know any kind.
const maxShape = 10

// shape returns a letter for each of the first elements of DER, and nothing if one cannot be read.
func shape(content []byte) string {
	var s strings.Builder
	for len(content) > 0 && s.Len() < maxShape {
		e, rest, ok := element(content)
		if !ok {
			return ""
		}
		s.WriteByte(letter(e))
		content = rest
	}
	return s.String()
}

func letter(e asn1.RawValue) byte {
	switch {
	case e.Class == asn1.ClassContextSpecific && e.Tag == 0:
		return '0'
	case e.Class != asn1.ClassUniversal:
		return '-'
	case e.Tag == asn1.TagInteger:
		return 'I'
	case e.Tag == asn1.TagSequence:
		return 'S'
	case e.Tag == asn1.TagOctetString:
		return 'T'
	case e.Tag == asn1.TagBitString:
		return 'B'
	case e.Tag == asn1.TagOID:
		return 'O'
	}
	return '-'
}

// element returns the first element of DER, and what is behind it.
func element(der []byte) (e asn1.RawValue, rest []byte, ok bool) {
	rest, err := asn1.Unmarshal(der, &e)
	return e, rest, err == nil
}
