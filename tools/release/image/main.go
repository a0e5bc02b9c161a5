// Command image assembles the OCI image of the plugin from its binaries: from scratch, for several platforms, the same
// bytes each time. It writes an OCI layout and prints its digest. With -from it takes a layout that exists, and pushes
// it where asked to: a release pushes what was built and tested before, in a job that builds nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	err := run(ctx, os.Args[1:], os.Stdout)
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

// options are what the command line says.
type options struct {
	binaries, files, annotations pairs
	created, output, from, push  string
	insecure                     bool
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.Var(&o.binaries, "binary", "`OS/ARCH=FILE`: the plugin for a platform; may be repeated")
	flags.Var(&o.files, "file", "`PATH=FILE`: a further file, at that path of the image; may be repeated")
	flags.Var(&o.annotations, "annotation", "`KEY=VALUE`: an annotation, and a label; may be repeated")
	flags.StringVar(&o.created, "created", "", "`time` of the commit, RFC 3339")
	flags.StringVar(&o.output, "o", "", "`directory` for the OCI layout; must not exist")
	flags.StringVar(&o.from, "from", "", "`directory` of an OCI layout to use instead of assembling one")
	flags.StringVar(&o.push, "push", "", "`reference` to push the layout of -from to: registry.example.com/plugin:v1.2.3")
	flags.BoolVar(&o.insecure, "insecure", false, "push by plain HTTP, to a registry on this machine")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var index v1.ImageIndex
	var err error
	switch {
	case o.from != "" && len(o.binaries) == 0 && o.output == "":
		index, err = layout.ImageIndexFromPath(o.from)
	case o.from == "" && len(o.binaries) > 0 && o.output != "" && o.push == "":
		index, err = o.assemble()
	default:
		err = errors.New("either -binary and -o are required, or -from; see -h")
	}
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, digest); err != nil {
		return err
	}
	if o.push == "" {
		return nil
	}
	var parsing []name.Option
	if o.insecure {
		parsing = append(parsing, name.Insecure)
	}
	ref, err := name.ParseReference(o.push, parsing...)
	if err != nil {
		return fmt.Errorf("-push: %w", err)
	}
	return remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// assemble makes the image and writes its layout.
func (o options) assemble() (v1.ImageIndex, error) {
	date, err := time.Parse(time.RFC3339, o.created)
	if err != nil {
		return nil, fmt.Errorf("-created: %w", err)
	}
	var extra []file
	for _, f := range o.files {
		extra = append(extra, file{path: f.key, source: f.value, mode: 0o644})
	}
	b := builder{created: date.UTC(), annotations: o.annotations.asMap()}
	var images []platformImage
	for _, binary := range o.binaries {
		platform, err := v1.ParsePlatform(binary.key)
		if err != nil {
			return nil, fmt.Errorf("-binary: %w", err)
		}
		// OpenBao looks for the binary at the root, by the entrypoint's name.
		image, err := b.image(
			*platform,
			append([]file{{path: "/" + pluginName, source: binary.value, mode: 0o755}}, extra...),
		)
		if err != nil {
			return nil, err
		}
		images = append(images, platformImage{*platform, image})
	}
	index := b.index(images)
	if _, err := os.Stat(o.output); !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s exists", o.output)
	}
	if _, err := layout.Write(o.output, index); err != nil {
		return nil, fmt.Errorf("write %s: %w", o.output, err)
	}
	return index, nil
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
