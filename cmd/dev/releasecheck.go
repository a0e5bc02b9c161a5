package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// releaseCheck builds the commit that is checked out twice, in two clones, and compares: every archive, binary and
// SBOM by its checksum, the image by its digest. COLD=1 compiles the second one anew, with a build cache of its own.
func releaseCheck(ctx context.Context) error {
	tools, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	var sums [2]map[string]string
	for i, name := range []string{"first", "second-in-another-directory"} {
		r := releaser{dir: s.path(name), tools: tools}
		if err := passThrough(ctx, os.Environ(), "git", "clone", "--quiet", "--no-hardlinks", ".", r.dir); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(r.dir, "bin"), 0o700); err != nil {
			return err
		}
		if i == 1 && os.Getenv("COLD") != "" {
			r.env = append(r.env, "GOCACHE="+s.path("cache"))
		}
		if err := r.snapshot(ctx); err != nil {
			return err
		}
		if sums[i], err = r.sums(); err != nil {
			return err
		}
	}
	return compare(sums[0], sums[1])
}

// sums are the checksums of a release's files, and the digest of its image.
func (r releaser) sums() (map[string]string, error) {
	content, err := os.ReadFile(filepath.Join(r.dir, checksums))
	if err != nil {
		return nil, err
	}
	sums := parseSums(string(content))
	digest, err := os.ReadFile(filepath.Join(r.dir, imageDigest))
	if err != nil {
		return nil, err
	}
	sums["image"] = strings.TrimSpace(string(digest))
	return sums, nil
}

// parseSums reads what sha256sum writes: lines `CHECKSUM  NAME`.
func parseSums(text string) map[string]string {
	sums := map[string]string{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 2 {
			sums[fields[1]] = fields[0]
		}
	}
	return sums
}

func compare(first, second map[string]string) error {
	var differ []error
	for name, sum := range first {
		if second[name] != sum {
			differ = append(differ, fmt.Errorf("%s differs: %s, %s", name, sum, second[name]))
		}
	}
	for name := range second {
		if first[name] == "" {
			differ = append(differ, fmt.Errorf("%s is in the second build alone", name))
		}
	}
	if err := errors.Join(differ...); err != nil {
		return err
	}
	if len(first) < 2 {
		return errors.New("the release has no files")
	}
	fmt.Printf("%d files are the same bytes in both builds\n", len(first))
	return nil
}
