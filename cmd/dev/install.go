package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
)

// releaseTest does what docs/install.md tells an operator, with the archives for this platform that are in bin/dist:
// verify an archive, unpack it, register the binary in a real Vault by the checksum from SHA256SUMS, and read a token.
func releaseTest(ctx context.Context) error {
	which, err := testServer(ctx, newestLine)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(checksums)
	if err != nil {
		return fmt.Errorf("%w: run make release-snapshot", err)
	}
	sums := parseSums(string(content))
	dir, err := os.MkdirTemp("", "workfront.")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	kinds := []string{""}
	if runtime.GOOS == "linux" {
		kinds = append(kinds, "_fips140")
	}
	for _, kind := range kinds {
		suffix := "_" + runtime.GOOS + "_" + runtime.GOARCH + kind
		plugin := filepath.Join(dir, "plugin"+kind)
		sum, err := unpack(sums, suffix, plugin)
		if err != nil {
			return err
		}
		fmt.Printf("\n== %s%s in %s\n", pluginName, suffix, which)
		err = demonstrate(ctx, terminal(), which, plugin, sum, func(t *story, d *devServer) {
			mode := strings.TrimSpace(t.expect("a mode", d.command()+" read -field=fips140 workfront/info"))
			t.claim(fmt.Sprintf("fips140 to be %t, it is %s", kind != "", mode), mode == fmt.Sprint(kind != ""))
		})
		if err != nil {
			return fmt.Errorf("%s%s: %w", pluginName, suffix, err)
		}
	}
	fmt.Printf("\n%d archives were verified, installed and used in %s\n", len(kinds), which)
	return nil
}

// unpack verifies the archive of a platform, and unpacks the plugin to a file. It returns the checksum of the plugin.
func unpack(sums map[string]string, suffix, to string) (string, error) {
	archive, binary := "", ""
	for name := range sums {
		switch {
		case strings.HasSuffix(name, suffix+".tar.gz"):
			archive = name
		case strings.HasSuffix(name, suffix):
			binary = name
		}
	}
	if archive == "" || binary == "" {
		return "", fmt.Errorf("SHA256SUMS lists no archive and binary for *%s", suffix)
	}
	file := filepath.Join(distDir, archive)
	if sum, err := sha256Of(file); err != nil || sum != sums[archive] {
		return "", fmt.Errorf("%s has checksum %s, SHA256SUMS says %s (%w)", archive, sum, sums[archive], err)
	}
	if err := untar(file, pluginName, to); err != nil {
		return "", fmt.Errorf("%s: %w", archive, err)
	}
	if sum, err := sha256Of(to); err != nil || sum != sums[binary] {
		return "", fmt.Errorf("the plugin in %s has checksum %s, SHA256SUMS says %s (%w)", archive, sum, sums[binary], err)
	}
	return sums[binary], nil
}

// untar writes one file of an archive, an executable of that base name, to a path.
func untar(archive, name, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for r := tar.NewReader(unzipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("it holds no %s", name)
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeReg && path.Base(header.Name) == name {
			return writeFile(to, r, 0o700)
		}
	}
}

func writeFile(path string, content io.Reader, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
