package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// vendors are the release sites of the servers, and of Terraform. A test replaces them.
type vendors struct {
	client    *http.Client
	hashicorp string // serves /vault/index.json, /terraform/index.json
	github    string // API, serves /repos/openbao/openbao/releases
	downloads string // serves /openbao/openbao/releases/download/vVERSION/FILE
}

func printDownload(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	v := vendors{
		client: http.DefaultClient, hashicorp: "https://releases.hashicorp.com",
		github: "https://api.github.com", downloads: "https://github.com",
	}
	path, err := v.download(ctx, args[0], args[1], "bin")
	if err == nil {
		fmt.Println(path)
	}
	return err
}

// serverRelease is one version of a product, and where its archive and the file of checksums are.
type serverRelease struct{ version, archive, sums string }

// download puts the newest release of a line into a directory, once its archive has the checksum that the vendor
// states, and returns the path of the binary.
func (v vendors) download(ctx context.Context, product, line, dir string) (string, error) {
	var r serverRelease
	var err error
	command := product
	switch product {
	case "vault", "terraform":
		r, err = v.newestHashiCorp(ctx, product, line)
	case "openbao":
		command = "bao"
		r, err = v.newestOpenBao(ctx, line)
	default:
		return "", errUsage
	}
	if err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "Downloading %s %s\n", product, r.version)
	archive, err := v.get(ctx, r.archive)
	if err != nil {
		return "", err
	}
	sums, err := v.get(ctx, r.sums)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(archive)
	if got, want := hex.EncodeToString(sum[:]), parseSums(string(sums))[path.Base(r.archive)]; got != want {
		return "", fmt.Errorf("%s has checksum %s, the vendor says %q", r.archive, got, want)
	}
	target, err := filepath.Abs(filepath.Join(dir, command+"-"+r.version))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if product != "openbao" {
		return target, unzip(archive, command, target)
	}
	file := target + ".tar.gz"
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		return "", err
	}
	return target, untar(file, command, target)
}

// newestHashiCorp looks for the newest release of a line (1, 1.19) of the community edition.
func (v vendors) newestHashiCorp(ctx context.Context, product, line string) (serverRelease, error) {
	var index struct {
		Versions map[string]struct {
			Shasums string `json:"shasums"`
			Builds  []struct {
				OS       string `json:"os"`
				Arch     string `json:"arch"`
				Filename string `json:"filename"`
			} `json:"builds"`
		} `json:"versions"`
	}
	if err := v.getJSON(ctx, v.hashicorp+"/"+product+"/index.json", &index); err != nil {
		return serverRelease{}, err
	}
	versions := make([]string, 0, len(index.Versions))
	for version := range index.Versions {
		versions = append(versions, version)
	}
	version := newest(versions, line)
	for _, build := range index.Versions[version].Builds {
		if build.OS == runtime.GOOS && build.Arch == runtime.GOARCH {
			base := v.hashicorp + "/" + product + "/" + version + "/"
			return serverRelease{version, base + build.Filename, base + index.Versions[version].Shasums}, nil
		}
	}
	return serverRelease{}, fmt.Errorf("there is no %s %s for %s/%s", product, line, runtime.GOOS, runtime.GOARCH)
}

// newestOpenBao looks for the newest release of a line (2, 2.5).
func (v vendors) newestOpenBao(ctx context.Context, line string) (serverRelease, error) {
	var releases []struct {
		Tag    string `json:"tag_name"`
		Assets []struct {
			Name string `json:"name"`
		} `json:"assets"`
	}
	if err := v.getJSON(ctx, v.github+"/repos/openbao/openbao/releases?per_page=100", &releases); err != nil {
		return serverRelease{}, err
	}
	var versions []string
	for _, r := range releases {
		versions = append(versions, strings.TrimPrefix(r.Tag, "v"))
	}
	version := newest(versions, line)
	arch := map[string]string{"amd64": "x86_64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	system := strings.ToUpper(runtime.GOOS[:1]) + runtime.GOOS[1:]
	for _, r := range releases {
		if version == "" || r.Tag != "v"+version {
			continue
		}
		base := v.downloads + "/openbao/openbao/releases/download/" + r.Tag + "/"
		found := serverRelease{version: version}
		for _, asset := range r.Assets {
			switch asset.Name {
			case fmt.Sprintf("openbao_%s_%s_%s.tar.gz", version, runtime.GOOS, runtime.GOARCH),
				fmt.Sprintf("bao_%s_%s_%s.tar.gz", version, system, arch): // up to 2.5
				found.archive = base + asset.Name
			case "checksums.txt", "checksums-" + runtime.GOOS + ".txt":
				found.sums = base + asset.Name
			}
		}
		if found.archive != "" && found.sums != "" {
			return found, nil
		}
	}
	return serverRelease{}, fmt.Errorf("there is no OpenBao %s for %s/%s", line, runtime.GOOS, runtime.GOARCH)
}

var releasedVersion = regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+)$`)

// newest is the newest version of a line, leaving out previews and enterprise editions; "" if there is none.
func newest(versions []string, line string) string {
	best, bestRank := "", [3]int{-1}
	for _, version := range versions {
		match := releasedVersion.FindStringSubmatch(version)
		if match == nil || !strings.HasPrefix(version, line+".") {
			continue
		}
		var rank [3]int
		for i := range rank {
			rank[i], _ = strconv.Atoi(match[i+1])
		}
		if rank[0] > bestRank[0] ||
			rank[0] == bestRank[0] && (rank[1] > bestRank[1] || rank[1] == bestRank[1] && rank[2] > bestRank[2]) {
			best, bestRank = version, rank
		}
	}
	return best
}

func (v vendors) getJSON(ctx context.Context, url string, into any) error {
	content, err := v.get(ctx, url)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	return nil
}

func (v vendors) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	// Without a token GitHub answers few questions from the addresses of its own runners.
	if token := os.Getenv("GITHUB_TOKEN"); token != "" && strings.HasPrefix(url, v.github+"/") {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return content, nil
}

// unzip writes one file of an archive to a path.
func unzip(archive []byte, name, to string) error {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err
	}
	f, err := r.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return writeFile(to, f, 0o700)
}
