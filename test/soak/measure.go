package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// figures are what must not grow.
type figures struct {
	goroutines  int
	files       int // open file descriptors, connections among them
	connections int // to Workfront
	heap        int // bytes in use after a garbage collection
	resident    int // bytes of memory that the process has
	entries     int // in storage, besides config, keys and roles
}

// measure reads the figures of the plugin's process, once they have stopped to change. What is more than after the second
// round gets a minute to become less.
func (k *soak) measure(ctx context.Context, pid int) (f figures, err error) {
	steady, before := 0, figures{}
	unsteady := errors.New("still changing, or more than before")
	err = poll(ctx, time.Minute, func() error {
		if f, err = k.figures(pid); err != nil {
			return err
		}
		if f.goroutines == before.goroutines && f.files == before.files {
			steady++
		} else {
			steady = 0
		}
		more := len(k.rounds) > 1 && (f.goroutines > k.rounds[1].goroutines || f.files > k.rounds[1].files)
		if before = f; steady < 10 || more {
			return unsteady
		}
		return nil
	})
	if errors.Is(err, unsteady) {
		err = nil // the comparison at the end says what is more
	}
	return f, err
}

func (k *soak) figures(pid int) (figures, error) {
	goroutines, err1 := k.profile(pid, "goroutine?debug=1", `^goroutine profile: total (\d+)`)
	heap, err2 := k.liveHeap(pid)
	files, err3 := openFiles(pid)
	resident, err4 := residentMemory(pid)
	return figures{
		goroutines: goroutines, files: files, connections: k.workfront.OpenConnections(), heap: heap, resident: resident,
	}, errors.Join(err1, err2, err3, err4)
}

// liveHeap is what is in use after a garbage collection, in bytes.
func (k *soak) liveHeap(pid int) (heap int, err error) {
	for range 2 { // what the first collection finds to be finalised is free after the second
		if heap, err = k.profile(pid, "heap?gc=1&debug=1", `(?m)^# HeapAlloc = (\d+)`); err != nil {
			return 0, err
		}
	}
	return heap, nil
}

func (k *soak) profileDir() string { return filepath.Join(k.dir, "profile") }

// profile asks the plugin for a profile and takes a number out of it.
func (k *soak) profile(pid int, name, pattern string) (int, error) {
	text, err := k.fetch(pid, name)
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(pattern).FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("profile %s holds no number; was the plugin built with -tags profile?", name)
	}
	return strconv.Atoi(string(found[1]))
}

func (k *soak) fetch(pid int, name string) ([]byte, error) {
	socket := filepath.Join(k.profileDir(), strconv.Itoa(pid)+".sock")
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, // or the plugin would have a connection more
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := client.Get("http://plugin/debug/pprof/" + name)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profile %s: HTTP status %d", name, resp.StatusCode)
	}
	return io.ReadAll(resp.Body)
}

// keepProfiles writes profiles beside the logs, for whoever looks for what has grown.
func (k *soak) keepProfiles(pid int) {
	for _, name := range []string{"goroutine", "heap"} {
		text, err := k.fetch(pid, name+"?debug=1")
		if err == nil {
			err = os.WriteFile(filepath.Join(k.dir, fmt.Sprintf("%s-%d.txt", name, len(k.rounds)+1)), text, 0o600)
		}
		if err != nil {
			k.print("keep profile: %v", err)
		}
	}
}

// openFiles counts the file descriptors of a process.
func openFiles(pid int) (int, error) {
	if runtime.GOOS == "linux" {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		return len(entries), err
	}
	out, err := exec.Command("lsof", "-p", strconv.Itoa(pid), "-F", "f").Output()
	if err != nil {
		return 0, fmt.Errorf("lsof: %w", err)
	}
	return strings.Count(string(out), "\nf"), nil
}

// residentMemory is the process's, in bytes.
func residentMemory(pid int) (int, error) {
	out, err := exec.Command("ps", "-o", "rss=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("ps: %w", err)
	}
	kib, err := strconv.Atoi(strings.TrimSpace(string(out)))
	return kib << 10, err
}
