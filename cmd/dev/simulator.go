package main

import (
	"context"
	"encoding/json"
	"os"
)

// workfront is what a client needs to know of a Workfront: simulator.json, or the environment.
type workfront struct {
	BaseURL      string `json:"base_url"`
	CACertFile   string `json:"ca_cert_file"` // "" for a real one
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	CustomerID   string `json:"customer_id"`
	UserID       string `json:"user_id"`
}

// startSimulator starts the stand-in for Workfront, with further flags if need be, and puts ca.pem into the directory of
// the stage.
func (s *stage) startSimulator(ctx context.Context, flags ...string) (*workfront, error) {
	binary, err := builtBinary(simulatorName)
	if err != nil {
		return nil, err
	}
	flags = append([]string{"-listen", "127.0.0.1:0", "-dir", s.simulatorDir(), "-session-ttl", "30m"}, flags...)
	p, err := s.start("simulator", nil, binary, flags...)
	if err != nil {
		return nil, err
	}
	w := &workfront{}
	err = p.waitReady(ctx, func() error {
		content, err := os.ReadFile(s.path("simulator/simulator.json"))
		if err != nil {
			return err
		}
		return json.Unmarshal(content, w)
	})
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(w.CACertFile)
	if err != nil {
		return nil, err
	}
	return w, os.WriteFile(s.path("ca.pem"), ca, 0o600)
}

func (s *stage) simulatorDir() string { return s.path("simulator") }
