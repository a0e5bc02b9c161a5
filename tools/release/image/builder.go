package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// builder makes images. The time in them is the commit's, and everything belongs to root: nothing depends on when and
// where they are made.
type builder struct {
	created     time.Time
	annotations map[string]string
}

type platformImage struct {
	platform v1.Platform
	v1.Image
}

// user is what the plugin runs as in a container: not root. It is a number, because Kubernetes' runAsNonRoot does not
// believe a name. Vault's container runtime gives the process a group of Vault's, which the directory of the plugin's
// socket belongs to (docs/install-special.md).
const user = "65532:65532"

// image is one for a platform, that runs the first of its files.
func (b builder) image(platform v1.Platform, files []file) (v1.Image, error) {
	archive, err := b.tar(files)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.Append(
		base,
		mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: b.created}}},
	)
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Created = v1.Time{Time: b.created}
	config.Config = v1.Config{Entrypoint: []string{"/" + files[0].name()}, Labels: b.annotations, User: user}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return nil, fmt.Errorf("configure image: %w", err)
	}
	return mutate.Annotations(image, b.annotations).(v1.Image), nil
}

func (b builder) tar(files []file) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	made := map[string]bool{".": true}
	for _, f := range files {
		content, err := os.ReadFile(f.source)
		if err != nil {
			return nil, err
		}
		if dir := path.Dir(f.name()); !made[dir] {
			made[dir] = true
			if err := w.WriteHeader(
				&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: b.created},
			); err != nil {
				return nil, err
			}
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     f.name(),
			Mode:     f.mode,
			Size:     int64(len(content)),
			ModTime:  b.created,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// index lists the images of all platforms.
func (b builder) index(images []platformImage) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image.Image,
			Descriptor: v1.Descriptor{Platform: &image.platform},
		})
	}
	return mutate.Annotations(index, b.annotations).(v1.ImageIndex)
}
