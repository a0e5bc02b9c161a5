package workfront

import (
	"net/http"
	"slices"
	"strings"
)

// encodings are the names of encodings that are shown (RFC 9110, section 8.4.1, RFC 7932, RFC 8878). Another one
// could be anything, even what was sent.
var encodings = []string{"br", "gzip", "x-gzip", "deflate", "compress", "zstd"}

// encoding returns the encoding of an answer, which none was asked for: "" if there is none, else its name, or
// "unknown".
func encoding(h http.Header) string {
	name := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("Content-Encoding"), ",")))
	switch {
	case name == "", name == "identity":
		return ""
	case slices.Contains(encodings, name):
		return name
	}
	return "unknown"
}
