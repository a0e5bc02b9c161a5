// Package pemtext reads keys and certificates in the forms in which people have them, and makes plain PEM blocks of
// them. Between the file that a tool wrote and the field of a request, a key passes through YAML, JSON, environment
// variables, editors and chat windows: each of them changes white space, quotes or the encoding, and none of them
// changes the key.
//
// Reading takes time linear in the length of the text. No error quotes any of it.
package pemtext

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// ErrNotPEM says that nothing in the text looks like a key or a certificate. Like all errors of this package, it is
// put behind the name of a field.
var ErrNotPEM = errors.New("is not PEM; give the text of the file, from its -----BEGIN line to its -----END line, " +
	"for example with @file on the command line")

// errCutOff stands for base64 that begins as every key and certificate does, and is none.
var errCutOff = errors.New("is base64 without a -----BEGIN and an -----END line, and damaged; copy the file again, " +
	"whole")

// Block is one key, certificate or other object of a text.
type Block struct {
	Kind Kind
	// DER is what is inside, if Kind is plain.
	DER []byte
}

// Read returns what text holds, in its order. It takes, and sees through:
//
//   - a byte order mark and other invisible characters, indentation, quotes around the text or its lines;
//   - CR, CRLF, blanks or a literal \n for line ends, and the other escapes of JSON;
//   - any text around the blocks, such as the attributes that `openssl pkcs12` prints;
//   - a block whose label does not say what is inside: the content decides;
//   - base64 of the file or of its DER form, and DER itself.
//
// What begins or ends like a PEM block and cannot be read is an error that says which block it is. A text in a form
// that has to be converted (PKCS#12, say) is one block of that Kind. At least one block comes with a nil error.
func Read(text string) ([]Block, error) { return read(text, 2) }

// read takes base64 off up to depth times: Kubernetes and CI systems each put a layer around what they keep.
func read(text string, depth int) ([]Block, error) {
	if isUTF16(text) {
		return []Block{{Kind: UTF16}}, nil
	}
	if block, ok := blockOf([]byte(text)); ok {
		return []Block{block}, nil
	}
	plain := clean(text)
	if blocks, err := scan(plain); err != nil || len(blocks) > 0 {
		return blocks, err
	}
	if content, ok := decodeBase64(plain); ok && depth > 0 {
		blocks, err := read(string(content), depth-1)
		switch {
		case err == nil && blocks[0].Kind != Binary:
			return blocks, nil
		case err != nil && !errors.Is(err, ErrNotPEM):
			return nil, err
		}
	}
	if kind := foreignForm(text, plain); kind != 0 {
		return []Block{{Kind: kind}}, nil
	}
	// The first bytes of a SEQUENCE of 256 to 65,535 bytes.
	if strings.HasPrefix(strings.TrimSpace(plain), "MII") {
		return nil, errCutOff
	}
	return nil, ErrNotPEM
}

// Encode returns blocks as PEM without headers, attributes or text in between, in the form that `openssl` writes.
func Encode(blocks ...Block) string {
	var text strings.Builder
	for _, b := range blocks {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: b.Kind.label(), Bytes: b.DER}))
	}
	return text.String()
}

// Normalise returns what Read finds in text as plain PEM. What it returns, it returns unchanged when it is given it.
// It fails for what Read fails for, and for kinds that cannot be used as they are.
func Normalise(text string) (string, error) {
	blocks, err := Read(text)
	if err != nil {
		return "", err
	}
	for i, b := range blocks {
		if !b.Kind.Plain() {
			return "", fmt.Errorf("holds %s as PEM block %d, which cannot be used as it is", b.Kind, i+1)
		}
	}
	return Encode(blocks...), nil
}
