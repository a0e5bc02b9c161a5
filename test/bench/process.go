package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of CPU times in /proc, the same on all Linux systems.
const ticksPerSecond = 100

// process is a running program, looked at through /proc.
type process int

// program is the file name of what the process runs.
func (p process) program() (string, error) {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p))
	return filepath.Base(exe), err
}

// cpu is how much processor time it has used.
func (p process) cpu() (time.Duration, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	return fields[14] + fields[15], nil // utime and stime
}

// age is how long ago it was started, to a hundredth of a second.
func (p process) age() (time.Duration, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	content, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	uptime, _, _ := strings.Cut(string(content), " ")
	seconds, err := strconv.ParseFloat(uptime, 64)
	if err != nil {
		return 0, fmt.Errorf("/proc/uptime: %w", err)
	}
	return time.Duration(seconds*float64(time.Second)) - fields[22], nil // starttime
}

// stat returns the fields of /proc/PID/stat that are times, by their number in proc(5).
func (p process) stat() (map[int]time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return nil, err
	}
	// The name of the program, the second field, is in parentheses and may hold anything.
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	times := map[int]time.Duration{}
	for _, number := range []int{14, 15, 22} {
		if len(fields) <= number-3 {
			return nil, fmt.Errorf("/proc/%d/stat has %d fields", p, len(fields)+2)
		}
		ticks, err := strconv.ParseInt(fields[number-3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("/proc/%d/stat: %w", p, err)
		}
		times[number] = time.Duration(ticks) * time.Second / ticksPerSecond
	}
	return times, nil
}

// resident is the memory that it occupies, in bytes.
func (p process) resident() (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kilobytes * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmRSS", p)
}

// machine describes where the benchmark runs.
func machine() []string {
	model := "unknown processor"
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(content)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return []string{
		fmt.Sprintf("cores    %d (%s)", runtime.NumCPU(), model),
		fmt.Sprintf("system   %s/%s, kernel %s", runtime.GOOS, runtime.GOARCH, strings.TrimSpace(string(kernel))),
		"go       " + runtime.Version(),
		fmt.Sprintf("busy     load average %s before the run: above 1, something else is at work here", loadAverage()),
	}
}

// loadAverage is how many processes have wanted a processor, over 1, 5 and 15 minutes. The benchmark itself is among
// them once it has begun.
func loadAverage() string {
	content, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(content))
	if err != nil || len(fields) < 3 {
		return "unknown"
	}
	return strings.Join(fields[:3], ", ")
}
