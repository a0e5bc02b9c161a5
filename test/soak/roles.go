package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// role is one that is there from the start and is put right before each rest.
type role struct {
	name, kind string
	own        bool // user and key of its own
	settings   map[string]any
}

// stableRoles are there all the time. But for two, their leases can be renewed until their sessions end.
var stableRoles = []role{
	{name: "fresh", kind: "fresh", settings: map[string]any{"ttl": "10s"}},
	{name: "short", kind: "fresh", settings: map[string]any{"ttl": "3s", "max_ttl": "9s"}},
	{name: "whole", kind: "fresh", settings: map[string]any{"ttl": "2h"}}, // leases as long as their sessions
	{name: "own", kind: "fresh", own: true, settings: map[string]any{"ttl": "8s"}},
	{name: "shared", kind: "shared", settings: map[string]any{"ttl": "10s", "share_session": true}},
	{name: "shared-short", kind: "shared", settings: map[string]any{"ttl": "4s", "share_session": true}},
	{name: "shared-own", kind: "shared", own: true, settings: map[string]any{"ttl": "1h", "share_session": true}},
}

// temporary begins the names of roles that the workers make, change and delete.
const (
	temporary      = "temporary-"
	temporaryRoles = 3
)

// allRoles are those that are read; "" stands for the defaults of config.
var allRoles = func() []string {
	names := []string{""}
	for _, r := range stableRoles {
		names = append(names, r.name)
	}
	for i := range temporaryRoles {
		names = append(names, fmt.Sprintf("%s%d", temporary, i))
	}
	return names
}()

// kindOf names a role for the counts.
func kindOf(name string) string {
	if strings.HasPrefix(name, temporary) {
		return "temporary"
	}
	if i := slices.IndexFunc(stableRoles, func(r role) bool { return r.name == name }); i >= 0 {
		return stableRoles[i].kind
	}
	return "fresh"
}

func (k *soak) writeRole(r role, own signingKey) error {
	settings := maps.Clone(r.settings)
	if r.own {
		settings["user_id"], settings["key"] = k.users[1].ID, own.name
	}
	return k.write("roles/"+r.name, settings)
}

// temporaryName is one of the roles that come and go.
func temporaryName(s step) string {
	return fmt.Sprintf("%s%d", temporary, int(s.which*temporaryRoles))
}

func (w *worker) writeTemporary(ctx context.Context, s step) {
	began := time.Now()
	_, err := w.root.Logical().WriteWithContext(ctx, mountPath+"/roles/"+temporaryName(s), map[string]any{
		"ttl": 2 + int(s.share*20), "share_session": s.share < 0.5,
	})
	w.judge("write role", began, err)
}

func (w *worker) deleteTemporary(ctx context.Context, s step) {
	began := time.Now()
	_, err := w.root.Logical().DeleteWithContext(ctx, mountPath+"/roles/"+temporaryName(s))
	w.judge("delete role", began, err)
}
