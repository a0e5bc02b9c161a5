// Command image assembles the OCI image of the plugin from its binaries: from scratch, for several platforms, the same
// bytes each time. It writes an OCI layout, and pushes it where asked to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// pairs is a flag that may be given several times, each time as KEY=VALUE.
type pairs []struct{ key, value string }

func (p *pairs) String() string { return fmt.Sprint(*p) }

func (p *pairs) Set(text string) error {
	key, value, found := strings.Cut(text, "=")
	if !found || key == "" || value == "" {
		return errors.New("not of the form KEY=VALUE")
	}
	*p = append(*p, struct{ key, value string }{key, value})
	return nil
}

func run(ctx context.Context) error {
	var binaries, files, annotations pairs
	flag.Var(&binaries, "binary", "`OS/ARCH=FILE`: the plugin for a platform; may be repeated")
	flag.Var(&files, "file", "`PATH=FILE`: a further file, at that path of the image; may be repeated")
	flag.Var(&annotations, "annotation", "`KEY=VALUE`: an annotation, and a label; may be repeated")
	created := flag.String("created", "", "`time` of the commit, RFC 3339")
	output := flag.String("o", "", "`directory` for the OCI layout; must not exist")
	push := flag.String("push", "", "`reference` to push the image to, such as registry.example.com/plugin:v1.2.3")
	insecure := flag.Bool("insecure", false, "push by plain HTTP, to a registry on this machine")
	flag.Parse()
	if len(binaries) == 0 || *output == "" {
		return errors.New("-binary and -o are required; see -h")
	}
	date, err := time.Parse(time.RFC3339, *created)
	if err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	var extra []file
	for _, f := range files {
		extra = append(extra, file{path: f.key, source: f.value, mode: 0o644})
	}
	b := builder{created: date.UTC(), annotations: annotations.asMap()}
	var images []platformImage
	for _, binary := range binaries {
		platform, err := v1.ParsePlatform(binary.key)
		if err != nil {
			return fmt.Errorf("-binary: %w", err)
		}
		// OpenBao looks for the binary at the root, by the entrypoint's name.
		image, err := b.image(
			*platform,
			append([]file{{path: "/" + pluginName, source: binary.value, mode: 0o755}}, extra...),
		)
		if err != nil {
			return err
		}
		images = append(images, platformImage{*platform, image})
	}
	index := b.index(images)
	if _, err := os.Stat(*output); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s exists", *output)
	}
	if _, err := layout.Write(*output, index); err != nil {
		return fmt.Errorf("write %s: %w", *output, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	if *push == "" {
		return nil
	}
	var options []name.Option
	if *insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(*push, options...)
	if err != nil {
		return fmt.Errorf("-push: %w", err)
	}
	return remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

func (p pairs) asMap() map[string]string {
	m := make(map[string]string, len(p))
	for _, pair := range p {
		m[pair.key] = pair.value
	}
	return m
}

// pluginName is the binary's name in the image.
const pluginName = "vault-plugin-secrets-workfront"

// file is one that goes into the image.
type file struct {
	path   string // absolute
	source string
	mode   int64
}

func (f file) name() string { return strings.TrimPrefix(path.Clean(f.path), "/") }
