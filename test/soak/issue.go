package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxLeases is how many leases a worker holds at most; it gives the oldest back for another.
const maxLeases = 40

func (k *soak) readToken(ctx context.Context, client *api.Client, role string, params map[string][]string) (*api.Secret, error) {
	return client.Logical().ReadWithDataWithContext(ctx, mountPath+"/"+shown(role), params)
}

// noRole is what reading a role brings that somebody may have deleted.
func noRole(role string) []failure {
	if strings.HasPrefix(role, temporary) {
		return []failure{{http.StatusBadRequest, fmt.Sprintf("the role %q does not exist", role), "no role"}}
	}
	return nil
}

func (w *worker) read(ctx context.Context, s step) {
	var params map[string][]string
	if s.share < 0.2 {
		params = map[string][]string{"ttl": {fmt.Sprintf("%ds", 3+int(s.share*100))}}
	}
	began := time.Now()
	secret, err := w.readToken(ctx, w.root, s.role, params)
	if !w.judge("read "+kindOf(s.role), began, err, noRole(s.role)...) {
		w.cutOff(s.role, began)
		return
	}
	if l := w.understand(secret, s.role, began); l != nil && w.mustLive(l, "read") {
		w.keep(ctx, l)
	}
}

func (w *worker) keep(ctx context.Context, l *lease) {
	w.leases = append(w.leases, l)
	if len(w.leases) > maxLeases {
		w.giveBack(ctx, w.leases[0])
	}
}

// use calls Workfront with the token, which needs a living session.
func (w *worker) use(ctx context.Context, s step) {
	l := w.pick(s)
	if l == nil {
		return
	}
	w.call(ctx, l)
	switch {
	case w.excused(l):
		w.tally.count("use", "ended")
		w.drop(l)
	case w.mustLive(l, "use"):
		w.tally.count("use", "ok")
	default:
		w.drop(l)
	}
}

// Around its end, a lease is not renewed: Vault may have begun to revoke it, and renews it all the same. On a busy machine it
// begins late.
const (
	lastMoment  = time.Second
	firstMoment = 3 * time.Second
)

func (w *worker) renew(ctx context.Context, s step) {
	l := w.pick(s)
	if l == nil {
		return
	}
	if left := time.Until(l.until); left > -firstMoment && left < lastMoment {
		return
	}
	began := time.Now()
	secret, err := w.root.Sys().RenewWithContext(ctx, l.id, int(s.share*120))
	var expected []failure
	expect := func(text, outcome string) {
		expected = append(expected, failure{http.StatusBadRequest, text, outcome})
	}
	if w.excused(l) {
		expect("lease not found", "ended")
		expect("lease expired", "ended")
		expect("invalid lease", "ended")
		expect("its Workfront session has ended", "ended")
	}
	if !l.renewable {
		expect("lease is not renewable", "not renewable")
	}
	if time.Until(l.sessionEnds) < 5*time.Second {
		expect("cannot be extended", "session ends")
	}
	if strings.HasPrefix(l.role, temporary) {
		expect("has been deleted", "no role")
	}
	if w.judge("renew", began, err, expected...) {
		w.extend(l, "renew", secret.LeaseDuration, began)
		l.renewable = secret.Renewable // no more, once a renewal cannot make it longer
	}
}

// revoke gives a lease back. That works whatever state Workfront is in.
func (w *worker) revoke(ctx context.Context, s step) {
	if l := w.pick(s); l != nil {
		w.giveBack(ctx, l)
	}
}

func (w *worker) giveBack(ctx context.Context, l *lease) {
	w.drop(l)
	began := time.Now()
	w.judge("revoke", began, w.root.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{LeaseID: l.id, Sync: true}))
}

// leave reads a token and goes away, most likely before it comes.
func (w *worker) leave(ctx context.Context, s step) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, time.Duration(s.share*s.share*float64(300*time.Millisecond)))
	defer cancel()
	secret, err := w.readToken(limited, w.root, s.role, nil)
	if errors.Is(err, context.DeadlineExceeded) {
		w.tally.count("leave", "left")
		w.missed(s.role, began)
		return
	}
	if !w.judge("leave", began, err, noRole(s.role)...) {
		w.cutOff(s.role, began)
	} else if l := w.understand(secret, s.role, began); l != nil {
		w.keep(ctx, l)
	}
}

// revokePrefix ends all leases of a role, whoever has them. Those of the mount's defaults have no prefix of their own.
func (w *worker) revokePrefix(ctx context.Context, s step) {
	if s.role == "" {
		return
	}
	sync, felt := s.share < 0.5, time.Duration(0)
	if !sync {
		felt = 20 * time.Second // Vault answers before it has begun
	}
	defer w.past.begin(sweep(s.role), felt)()
	began := time.Now()
	w.judge("revoke prefix", began, w.root.Sys().RevokeWithOptionsWithContext(ctx, &api.RevokeOptions{
		LeaseID: mountPath + "/" + shown(s.role), Prefix: true, Sync: sync,
	}))
}

// readerPolicy allows a token to read tokens.
const readerPolicy = "reader"

// revokeParent reads tokens with a Vault token and revokes that: their leases are revoked with it.
func (w *worker) revokeParent(ctx context.Context, s step) {
	began := time.Now()
	created, err := w.root.Auth().Token().CreateWithContext(ctx, &api.TokenCreateRequest{Policies: []string{readerPolicy}, TTL: "10m"})
	if !w.judge("create parent", began, err) {
		return
	}
	client, err := w.root.Clone()
	if err != nil {
		w.tally.fail("make a client: %v", err)
		return
	}
	client.SetToken(created.Auth.ClientToken)
	for range 1 + int(s.share*4) {
		began := time.Now()
		secret, err := w.readToken(ctx, client, s.role, nil)
		if !w.judge("read "+kindOf(s.role), began, err, noRole(s.role)...) {
			w.cutOff(s.role, began)
		} else if l := w.understand(secret, s.role, began); l != nil {
			w.mustLive(l, "read")
		}
	}
	began = time.Now()
	w.judge("revoke parent", began, w.root.Auth().Token().RevokeTreeWithContext(ctx, created.Auth.ClientToken))
}
