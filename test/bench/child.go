package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// childArg has this program do nothing but sign or post, so that its processor time is that of this work alone.
const childArg = "child"

// What a child does.
const (
	jobSign = "sign"
	jobPost = "post"
)

// childResult is what a child prints, in JSON.
type childResult struct {
	CPU       time.Duration   `json:"cpu"` // of all its work
	Latencies []time.Duration `json:"latencies"`
}

func (b *bench) runChild(job string, clients, requests int) (childResult, error) {
	self, err := os.Executable()
	if err != nil {
		return childResult{}, err
	}
	command := exec.Command(self, childArg, "-job", job, "-simulator", b.simDir, "-key", b.keyFile,
		"-clients", strconv.Itoa(clients), "-requests", strconv.Itoa(requests))
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return childResult{}, fmt.Errorf("child that does %s: %w", job, err)
	}
	var result childResult
	return result, json.Unmarshal(out, &result)
}

// child is the main function of a child.
func child() {
	flags := flag.NewFlagSet(childArg, flag.ExitOnError)
	job := flags.String("job", "", "sign or post")
	simulatorDir := flags.String("simulator", "", "directory")
	keyFile := flags.String("key", "", "PKCS#8 PEM")
	clients := flags.Int("clients", 1, "")
	requests := flags.Int("requests", 1, "")
	_ = flags.Parse(os.Args[2:])
	result, err := doJob(*job, *simulatorDir, *keyFile, *clients, *requests)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

func doJob(job, simulatorDir, keyFile string, clients, requests int) (childResult, error) {
	key, err := readKey(keyFile)
	if err != nil {
		return childResult{}, err
	}
	sim, err := findSimulator(simulatorDir)
	if err != nil {
		return childResult{}, err
	}
	var once func() error
	switch job {
	case jobSign:
		once = func() error {
			_, err := sign(key, sim)
			return err
		}
	case jobPost:
		assertion, err := sign(key, sim)
		if err != nil {
			return childResult{}, err
		}
		client := sim.httpClient(clients)
		once = func() error { return post(client, sim, assertion) }
	default:
		return childResult{}, fmt.Errorf("unknown job %q", job)
	}
	if err := repeat(once, clients, clients, nil); err != nil { // connections are open then
		return childResult{}, err
	}
	latencies := make([]time.Duration, requests)
	before := ownCPU()
	if err := repeat(once, clients, requests, latencies); err != nil {
		return childResult{}, err
	}
	return childResult{CPU: ownCPU() - before, Latencies: latencies}, nil
}

// repeat has clients do something so many times in total.
func repeat(once func() error, clients, times int, latencies []time.Duration) error {
	var begun atomic.Int64
	errs := make([]error, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for n := begun.Add(1); n <= int64(times) && errs[i] == nil; n = begun.Add(1) {
				start := time.Now()
				errs[i] = once()
				if latencies != nil {
					latencies[n-1] = time.Since(start)
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func ownCPU() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage) // cannot fail for oneself
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func readKey(file string) (*rsa.PrivateKey, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no RSA key", file)
	}
	return private, nil
}

// sign makes the assertion: little more than one RSA signature.
func sign(key *rsa.PrivateKey, sim *simulator) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"exp":%d}`, sim.CustomerID, sim.UserID, time.Now().Add(3*time.Minute).Unix())
	input := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	return input + "." + encode(signature), err
}

func post(client *http.Client, sim *simulator, assertion string) error {
	body := url.Values{"client_id": {sim.ClientID}, "client_secret": {sim.ClientSecret}, "jwt_token": {assertion}}.Encode()
	resp, err := client.Post(sim.BaseURL+"/integrations/oauth2/api/v1/jwt/exchange", "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, answer)
	}
	return err
}
