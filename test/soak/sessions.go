package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// listSessions lists sessions, some of them with all that is known.
func (w *worker) listSessions(ctx context.Context, _ step) {
	began := time.Now()
	listed, err := w.root.Logical().ListWithContext(ctx, mountPath+"/sessions")
	if w.judge("list sessions", began, err) {
		w.searchAnswer("list sessions", listed)
	}
}

// readSession reads the session of a lease. It is there as long as the lease is.
func (w *worker) readSession(ctx context.Context, s step) {
	l := w.pick(s)
	if l == nil {
		return
	}
	began := time.Now()
	found, err := w.root.Logical().ReadWithContext(ctx, mountPath+"/sessions/"+l.session)
	if !w.judge("read session", began, err) {
		return
	}
	w.searchAnswer("read session", found)
	if found == nil && !w.excused(l) {
		w.tally.fail("read session: %s of %s is not known, but leased", l.session, shown(l.role))
	}
}

// searchAnswer keeps a failure if an answer holds a token.
func (k *soak) searchAnswer(operation string, secret *api.Secret) {
	text, err := json.Marshal(secret)
	if err != nil {
		k.tally.fail("%s: %v", operation, err)
		return
	}
	if kind := k.secrets.find(text); kind != "" {
		k.tally.fail("%s: the answer holds %s", operation, kind)
	}
}

// deleteSession logs the session of a lease out, whoever else has a lease on it.
func (w *worker) deleteSession(ctx context.Context, s step) {
	l := w.pick(s)
	if l == nil {
		return
	}
	began := time.Now()
	var expected []failure
	if w.past.happened(ended(l.session), l.began, began) {
		// A session that is not known is not believed to have ended while it is young: its logout is pending.
		expected = append(expected,
			failure{http.StatusBadGateway, "does not know the session that it has only just returned", "too young"})
	}
	w.past.begin(ended(l.session), 0)
	_, err := w.root.Logical().DeleteWithContext(ctx, mountPath+"/sessions/"+l.session)
	// Past a stated end, Workfront's own refusal is final.
	atItsEnd := !l.assumed && !time.Now().Before(l.sessionEnds.Add(-time.Second))
	if w.judge("delete session", began, err, expected...) && !atItsEnd && w.workfront.SessionAlive(l.token) {
		w.tally.fail("delete session: %s lives", l.session)
	}
}

// endElsewhere logs a session out behind the plugin's back.
func (w *worker) endElsewhere(_ context.Context, s step) {
	if l := w.pick(s); l != nil {
		w.past.begin(ended(l.session), 0)
		w.workfront.EndSession(l.token)
		w.tally.count("end elsewhere", "ok")
	}
}

// check has the plugin check the whole chain. It is all right unless something is known to be wrong.
func (w *worker) check(ctx context.Context, s step) {
	role := stableRoles[int(s.share*float64(len(stableRoles)))].name
	w.runCheck(ctx, map[string]any{"role": role})
}

// runCheck tells whether the check says that all is well.
func (k *soak) runCheck(ctx context.Context, data map[string]any) bool {
	began := time.Now()
	checked, err := k.root.Logical().WriteWithContext(ctx, mountPath+"/check", data)
	var answer *api.ResponseError
	switch {
	case err != nil:
		return k.judge("check", began, err)
	case checked == nil:
		k.tally.fail("check: no answer")
		return false
	case checked.Data["ok"] == true:
		k.tally.count("check", "ok")
		return true
	}
	// What fails is in the answer, not in an error; what excuses it is the same.
	step, _ := checked.Data["failed_step"].(string)
	said, _ := checked.Data[step].(string)
	if k.past.happened(retired, began, time.Now()) && strings.Contains(said, "410") {
		k.tally.count("check", retired) // it is about the configured version alone
		return false
	}
	answer = &api.ResponseError{StatusCode: http.StatusBadGateway, Errors: []string{step + ": " + said}}
	if step == "1_settings" {
		answer.StatusCode = http.StatusBadRequest
	}
	k.judge("check", began, answer)
	return false
}
