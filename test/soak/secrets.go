package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"sync"
)

// secrets knows the client secrets and access tokens of a run: words of 32 hexadecimal digits, as the stand-in makes them.
type secrets struct {
	mu    sync.Mutex
	kinds map[string]string // by secret
}

var (
	secretWord = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	// Secrets that cannot be known beforehand: a JWT, the begin of an RSA key in PKCS#8, a refresh token.
	secretForm = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+\.eyJ|IBADANBgkqhkiG9w0BAQEFAASC|"refresh_token" *:`)
)

func (s *secrets) add(kind, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds == nil {
		s.kinds = map[string]string{}
	}
	s.kinds[secret] = kind
}

func (s *secrets) kind(word string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[word]
}

// find tells what kind of secret a text holds, or "".
func (s *secrets) find(text []byte) string {
	if secretForm.Match(text) {
		return "a JWT, private key or refresh token"
	}
	for _, word := range secretWord.FindAll(text, -1) {
		if kind := s.kind(string(word)); kind != "" {
			return kind
		}
	}
	return ""
}

// clean makes a text fit to be printed.
func (s *secrets) clean(text string) string {
	text = secretForm.ReplaceAllString(text, "[SECRET]")
	return secretWord.ReplaceAllStringFunc(text, func(word string) string {
		if s.kind(word) != "" {
			return "[SECRET]"
		}
		return word
	})
}

// searchLog looks for secrets and crashes in what Vault and the plugin have logged, and returns its size.
func (k *soak) searchLog() (size int) {
	log, err := os.Open(k.vault.LogFile())
	if err != nil {
		k.tally.fail("search the log: %v", err)
		return 0
	}
	defer func() { _ = log.Close() }()
	lines := bufio.NewReader(log)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		size += len(line)
		if kind := k.secrets.find(line); kind != "" {
			k.tally.fail("line %d of the log holds %s", n, kind)
		}
		for _, crash := range []string{"panic: ", "fatal error: "} {
			if bytes.Contains(line, []byte(crash)) {
				k.tally.fail("line %d of the log: %s", n, k.secrets.clean(string(bytes.TrimSpace(line))))
			}
		}
		if errors.Is(err, io.EOF) {
			return size
		}
		if err != nil {
			k.tally.fail("search the log: %v", err)
			return size
		}
	}
}
