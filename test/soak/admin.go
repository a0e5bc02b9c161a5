package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vault-plugin-secrets-workfront/internal/workfronttest"
)

// grace is how long what was replaced is still good at Workfront: what was begun with it may take twice the longest
// request_timeout.
const grace = 11 * time.Second

// signingKey is a key in Vault whose certificate Workfront has.
type signingKey struct{ name, fingerprint string }

func (k *soak) makeKey(name string, user workfronttest.User) (signingKey, error) {
	made, err := k.root.Logical().Write(mountPath+"/keys/"+name+"/generate", nil)
	if err != nil {
		return signingKey{}, err
	}
	if made == nil {
		return signingKey{}, errors.New("generate key: no answer")
	}
	certificate, _ := made.Data["certificate"].(string)
	fingerprint, err := k.workfront.AddPublicKey(k.app.ClientID, user.ID, certificate)
	return signingKey{name, fingerprint}, err
}

// asAdmin does what only one can do at a time, or nothing if another is at it.
func (w *worker) asAdmin(operation string, do func()) {
	if !w.admin.TryLock() {
		w.tally.count(operation, "busy")
		return
	}
	defer w.admin.Unlock()
	do()
}

func (w *worker) patch(ctx context.Context, operation string, data map[string]any) bool {
	began := time.Now()
	_, err := w.root.Logical().JSONMergePatch(ctx, mountPath+"/config", data)
	return w.judge(operation, began, err)
}

func (w *worker) patchConfig(ctx context.Context, s step) {
	w.asAdmin("patch config", func() {
		w.patch(ctx, "patch config", map[string]any{
			"ttl": 3 + int(s.share*30), "request_timeout": 3 + int(s.which*3), "max_retries": int(s.share * 4), "verify_connection": s.which < 0.3,
		})
	})
}

// rotateSecret replaces the client secret as an operator does: the new one is used before the old one goes.
func (w *worker) rotateSecret(ctx context.Context, s step) {
	w.asAdmin("rotate secret", func() {
		fresh, err := w.workfront.AddSecret(w.app.ClientID)
		if err != nil {
			w.tally.fail("add a client secret: %v", err)
			return
		}
		w.secrets.add("a client secret", fresh)
		old := w.clientSecret
		if w.patch(ctx, "rotate secret", map[string]any{"client_secret": fresh, "verify_connection": s.share < 0.5}) {
			w.clientSecret = fresh
			wait(ctx, grace)
		} else {
			old = fresh
		}
		if err := w.workfront.RemoveSecret(w.app.ClientID, old); err != nil {
			w.tally.fail("remove a client secret: %v", err)
		}
	})
}

// rotateKey replaces the signing key: generate, upload, check, patch, and delete the old one.
func (w *worker) rotateKey(ctx context.Context, _ step) {
	w.asAdmin("rotate key", func() {
		w.keysMade++
		began := time.Now()
		fresh, err := w.makeKey(fmt.Sprintf("made-%d", w.keysMade), w.users[0])
		if !w.judge("generate key", began, err) {
			return
		}
		old := w.key
		if w.runCheck(ctx, map[string]any{"key": fresh.name}) &&
			w.patch(ctx, "rotate key", map[string]any{"key": fresh.name, "verify_connection": true}) {
			w.key = fresh
			wait(ctx, grace)
		} else {
			old = fresh
		}
		if err := w.workfront.RemovePublicKey(w.app.ClientID, old.fingerprint); err != nil {
			w.tally.fail("remove a public key: %v", err)
		}
		began = time.Now()
		_, err = w.root.Logical().DeleteWithContext(ctx, mountPath+"/keys/"+old.name)
		w.judge("delete key", began, err)
	})
}

// deleteConfig takes config away for a moment. Meanwhile tokens cannot be read, but leases expire as ever.
func (w *worker) deleteConfig(ctx context.Context, s step) {
	w.asAdmin("delete config", func() {
		defer w.past.begin(unconfigured, 3*time.Second)()
		began := time.Now()
		_, err := w.root.Logical().DeleteWithContext(ctx, mountPath+"/config")
		w.judge("delete config", began, err)
		wait(ctx, time.Duration(s.share*float64(2*time.Second)))
		began = time.Now()
		w.judge("write config", began, w.write("config", w.config()))
	})
}
