package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// linkPatience is for one page elsewhere.
const linkPatience = 20 * time.Second

// lintLinks asks for every page elsewhere that the pages in the tree at root link to. It needs the Internet, so it belongs
// to no other target.
func lintLinks(ctx context.Context, root string) error {
	l := docsLint{root: root}
	places := make(map[string][]string) // by address
	err := l.walk(func(path, text string) {
		if filepath.Ext(path) != ".md" {
			return
		}
		fenced := false
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			for _, m := range markdownLink.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, "x"), -1) {
				if address, _, _ := strings.Cut(m[1], "#"); strings.Contains(address, "://") {
					places[address] = append(places[address], fmt.Sprintf("%s:%d", path, i+1))
				}
			}
		}
	})
	if err != nil {
		return err
	}
	var dead []error
	for _, address := range slices.Sorted(maps.Keys(places)) {
		if problem := visit(ctx, address); problem != nil {
			dead = append(dead, fmt.Errorf("%s: link %s: %w", strings.Join(places[address], ", "), address, problem))
		}
	}
	fmt.Printf("%d of %d links to elsewhere work\n", len(places)-len(dead), len(places))
	return errors.Join(dead...)
}

// visit asks for a page, and returns what is wrong with it.
func visit(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, linkPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	// Some sites refuse what names no browser.
	request.Header.Set("User-Agent", "Mozilla/5.0 (compatible; lint-links)")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return cmp.Or(errors.Unwrap(err), err) // without method and address
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode >= http.StatusBadRequest {
		return errors.New(response.Status)
	}
	return nil
}
