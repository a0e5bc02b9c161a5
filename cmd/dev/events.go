package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Test    string
	Elapsed float64
	Output  string
}

// top is the test that a subtest belongs to.
func (e event) top() string {
	name, _, _ := strings.Cut(e.Test, "/")
	return name
}

// results prints a line for each test that ends, everything that a failed one printed, and go test's own closing lines.
type results struct {
	out     io.Writer
	printed map[string]*strings.Builder // by test, until it ends

	passed, failed int
	skipped        []string // subtests included
}

func (r *results) read(line []byte) error {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		_, err := r.out.Write(line) // not an event: go's own complaint
		return err
	}
	if e.Action == "skip" && e.Test != "" {
		r.skipped = append(r.skipped, e.Test)
	}
	switch {
	case e.Action == "build-output" || e.Action == "output" && e.Test == "":
		return r.print(e.Output)
	case e.Action == "output":
		if r.printed[e.top()] == nil {
			r.printed[e.top()] = &strings.Builder{}
		}
		r.printed[e.top()].WriteString(e.Output)
	case e.Test == "" && e.Action == "fail":
		// What is left belongs to tests that a panic or a timeout has cut off.
		for _, test := range slices.Sorted(maps.Keys(r.printed)) {
			if err := r.print(r.take(test)); err != nil {
				return err
			}
		}
	case e.Test == "" || e.Test != e.top():
	case e.Action == "pass" || e.Action == "skip":
		if e.Action == "pass" {
			r.passed++
		}
		r.take(e.Test)
		return r.print(fmt.Sprintf("%s  %s (%gs)\n", e.Action, e.Test, e.Elapsed))
	case e.Action == "fail":
		r.failed++
		return r.print(withoutMarks(r.take(e.Test)))
	}
	return nil
}

func (r *results) print(text string) error {
	_, err := io.WriteString(r.out, text)
	return err
}

// take returns what a test has printed, and forgets it.
func (r *results) take(test string) string {
	text := r.printed[test]
	delete(r.printed, test)
	if text == nil {
		return ""
	}
	return text.String()
}

// withoutMarks leaves out the lines by which go test shows that tests run, pause and continue.
func withoutMarks(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "=== ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// verdict prints how many tests passed. It is an error if one failed or was skipped, or none ran.
func (r *results) verdict(server string, runErr error) error {
	switch {
	case runErr != nil || r.failed > 0:
		return errors.Join(
			fmt.Errorf("end-to-end: %d tests passed, %d failed against %s", r.passed, r.failed, server),
			runErr,
		)
	case len(r.skipped) > 0:
		return fmt.Errorf(
			"end-to-end: tests were skipped against %s, which is not allowed: %s",
			server,
			strings.Join(r.skipped, " "),
		)
	case r.passed == 0:
		return fmt.Errorf("end-to-end: no test ran against %s", server)
	}
	return r.print(fmt.Sprintf("end-to-end: %d tests passed against %s\n", r.passed, server))
}
