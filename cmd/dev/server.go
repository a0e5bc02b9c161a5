package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The environment that names a server to use.
const (
	envVault = "VAULT_BIN"
	envBao   = "BAO_BIN"
)

// newestLine is the line of Vault that the tests run on, and that everything else is run on.
const newestLine = "1.21"

// server is a Vault or OpenBao binary.
type server struct {
	path    string
	product string // Vault or OpenBao
	version string // as the binary prints it, such as v1.21.0
	major   int
	minor   int
}

var versionLine = regexp.MustCompile(`^(Vault|OpenBao) (v(\d+)\.(\d+)\.\S+)`)

// inspect asks a binary what it is.
func inspect(ctx context.Context, path string) (server, error) {
	out, err := exec.CommandContext(ctx, path, "version").Output()
	if err != nil {
		return server{}, fmt.Errorf("%s version: %w", path, err)
	}
	return parseServer(path, string(out))
}

func parseServer(path, output string) (server, error) {
	match := versionLine.FindStringSubmatch(output)
	if match == nil {
		first, _, _ := strings.Cut(output, "\n")
		return server{}, fmt.Errorf("%s is neither Vault nor OpenBao: its version reads %q", path, first)
	}
	s := server{path: path, product: match[1], version: strings.TrimSuffix(match[2], ",")}
	s.major, _ = strconv.Atoi(match[3])
	s.minor, _ = strconv.Atoi(match[4])
	return s, nil
}

func (s server) String() string { return s.product + " " + s.version }

// command is what an operator types.
func (s server) command() string {
	if s.product == "OpenBao" {
		return "bao"
	}
	return "vault"
}

// supported tells whether the plugin supports this server: Vault from 1.19, OpenBao from 2.5. An OpenBao that was built
// without a version calls itself v2.0.0-HEAD, and is taken for a new one.
func (s server) supported() bool {
	major, minor := 1, 19
	if s.product == "OpenBao" {
		if strings.HasSuffix(s.version, "-HEAD") {
			return true
		}
		major, minor = 2, 5
	}
	return s.major > major || s.major == major && s.minor >= minor
}

// named returns the server that the environment names, if it names one.
func named(ctx context.Context) (s server, found bool, err error) {
	for _, variable := range []string{envVault, envBao} {
		value := os.Getenv(variable)
		if value == "" {
			continue
		}
		path, err := filepath.Abs(value)
		if err == nil {
			_, err = exec.LookPath(path)
		}
		if err != nil {
			return server{}, false, fmt.Errorf("%s=%s is no executable file: %w", variable, value, err)
		}
		s, err := inspect(ctx, path)
		return s, true, err
	}
	return server{}, false, nil
}

// testServer is the server that the environment names, else the pinned one of a line, which is built if need be.
func testServer(ctx context.Context, line string) (server, error) {
	if s, found, err := named(ctx); found || err != nil {
		return s, err
	}
	path, err := buildVault(ctx, line)
	if err != nil {
		return server{}, err
	}
	return inspect(ctx, path)
}

// anyServer is the server that the environment names, else a supported one on the PATH, else the pinned one.
func anyServer(ctx context.Context) (server, error) {
	s, found, err := named(ctx)
	if err != nil {
		return s, err
	}
	if found {
		fmt.Printf("Using %s: %s\n", s, s.path)
		return s, nil
	}
	for _, name := range []string{"vault", "bao"} {
		path, err := exec.LookPath(name)
		if errors.Is(err, exec.ErrNotFound) {
			continue
		}
		if err == nil {
			s, err = inspect(ctx, path)
		}
		switch {
		case err != nil:
			fmt.Printf("Not using the %s on the PATH: %v\n", name, err)
		case !s.supported():
			fmt.Printf("Not using %s on the PATH (%s): the plugin needs Vault 1.19, OpenBao 2.5, or newer\n", s, s.path)
		default:
			fmt.Printf("Using %s on the PATH: %s\n", s, s.path)
			return s, nil
		}
	}
	return testServer(ctx, newestLine)
}
