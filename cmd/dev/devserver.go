package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// devServer is a server in dev mode (in memory, unsealed) that finds the plugin in its plugin directory.
type devServer struct {
	*process
	server
	address, token string
	pluginFile     string
	pluginSum      string // SHA-256 by which it is registered
	binDir         string // holds the server's command, for the PATH
}

// startServer starts a dev server and makes its command talk to it. The plugin is in its plugin directory, but not
// registered: a file and its checksum.
func (s *stage) startServer(ctx context.Context, which server, plugin, sum string) (*devServer, error) {
	d := &devServer{
		server: which, token: "dev-" + rand.Text(), binDir: s.path("path"),
		pluginFile: s.path("plugins/" + pluginName), pluginSum: sum,
	}
	for _, dir := range []string{d.binDir, filepath.Dir(d.pluginFile)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.Symlink(which.path, filepath.Join(d.binDir, which.command())); err != nil {
		return nil, err
	}
	if err := copyFile(plugin, d.pluginFile, 0o700); err != nil {
		return nil, err
	}
	// Where the command looks for settings and for a saved token.
	settings := s.path("settings")
	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		return nil, err
	}
	s.env = append(s.env, "PATH="+d.binDir+string(os.PathListSeparator)+os.Getenv("PATH"),
		"VAULT_CONFIG_PATH="+settings, "BAO_CONFIG_PATH="+settings, "VAULT_TOKEN="+d.token, "BAO_TOKEN="+d.token)
	const tries = 5
	for try := 1; ; try++ {
		err := s.listen(ctx, d)
		if err == nil {
			s.env = append(s.env, "VAULT_ADDR="+d.address, "BAO_ADDR="+d.address)
			return d, nil
		}
		// Between the choice of the port and the server's use of it somebody else may take it.
		if try == tries || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
	}
}

func (s *stage) listen(ctx context.Context, d *devServer) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	d.address = "http://" + port
	// The token by the environment: arguments show in ps.
	env := []string{"VAULT_DEV_ROOT_TOKEN_ID=" + d.token, "BAO_DEV_ROOT_TOKEN_ID=" + d.token}
	d.process, err = s.start("server", env, d.path, "server", "-dev", "-dev-no-store-token", "-dev-listen-address="+port,
		"-dev-plugin-dir="+filepath.Dir(d.pluginFile), "-dev-plugin-init=false")
	if err != nil {
		return err
	}
	return d.waitReady(ctx, func() error {
		// It answers with our token: it is our server, and no other that has the port.
		lookup := exec.CommandContext(ctx, d.path, "token", "lookup")
		lookup.Env = slices.Concat(s.env, []string{"VAULT_ADDR=" + d.address, "BAO_ADDR=" + d.address})
		if out, err := lookup.CombinedOutput(); err != nil {
			return fmt.Errorf("token lookup: %w: %s", err, out)
		}
		return nil
	})
}

// freePort returns a loopback address that nobody listens on now.
func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func sha256Of(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	return writeFile(to, in, mode)
}
