// Package decode reads those examples that cannot be run here as strictly as the programs that they are for: into the
// programs' own Go types where the Go module proxy has them, with every field known and of its type.
package decode

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func path(name string) string { return filepath.Join("..", "..", "examples", filepath.FromSlash(name)) }

func example(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// decode reads one document; a field that the type does not have is an error, as is one that occurs twice.
func decode(t *testing.T, name, document string, into any) {
	t.Helper()
	if err := strict.UnmarshalStrict([]byte(document), into); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// documents are those of a file, in their order.
func documents(t *testing.T, name string) []string {
	t.Helper()
	reader := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewBufferString(example(t, name))))
	defer func() { _ = reader.Close() }()
	var found []string
	for {
		buffer := make([]byte, 64<<10)
		n, err := reader.Read(buffer)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := string(buffer[:n]); strings.TrimSpace(text) != "" {
			found = append(found, text)
		}
	}
}

// loose reads what a document has of a type's fields.
func loose(t *testing.T, name, document string, into any) {
	t.Helper()
	if err := strict.Unmarshal([]byte(document), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
