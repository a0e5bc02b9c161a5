package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ledgerEmpty tells whether the plugin still keeps a session.
func (k *soak) ledgerEmpty(ctx context.Context) error {
	entries, err := k.entries(ctx, "")
	if err != nil {
		return err
	}
	// The index of ends may hold what a killed process left, until that time has come.
	entries = slices.DeleteFunc(entries, func(entry string) bool { return strings.HasPrefix(entry, "expiry/") })
	if len(entries) > 0 {
		return fmt.Errorf("the ledger holds %d entries, such as %s; sessions: %v", len(entries), entries[0], k.sessions(ctx))
	}
	return nil
}

// entries lists the plugin's storage, without config, keys, roles, trust and the mark of maintenance.
func (k *soak) entries(ctx context.Context, folder string) ([]string, error) {
	listed, err := k.root.Logical().ListWithContext(ctx, k.storage+"/"+folder)
	if err != nil || listed == nil {
		return nil, err
	}
	names, _ := listed.Data["keys"].([]any)
	var found []string
	for _, n := range names {
		name := folder + fmt.Sprint(n)
		switch {
		case slices.Contains([]string{"config", "keys/", "roles/", "trust/", "maintenance"}, name):
		case strings.HasSuffix(name, "/"):
			below, err := k.entries(ctx, name)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
		default:
			found = append(found, name)
		}
	}
	return found, nil
}

// absent is a reader that did not wait for its answer, or was cut off from it.
type absent struct {
	role       string
	asked, off time.Time
}

// missed notes that a read has ended without an answer that Vault has seen.
func (k *soak) missed(role string, asked time.Time) {
	k.absentMu.Lock()
	defer k.absentMu.Unlock()
	k.absent = append(k.absent, absent{role, asked, time.Now()})
}

// cutOff notes that a read has failed, if that was because the plugin ended.
func (k *soak) cutOff(role string, asked time.Time) {
	if k.past.happened(restarting, asked, time.Now()) {
		k.missed(role, asked)
	}
}

// endOrphans ends sessions that are leased although Vault has no lease. The plugin does not learn whether Vault has taken its
// answer: if the reader leaves while that is on its way, the lease is known to the plugin alone, and its session stays until
// its end. Each such session must have a reader that left.
func (k *soak) endOrphans(ctx context.Context) (orphans int, err error) {
	// What is still being started or released is none.
	err = poll(ctx, 15*time.Second, func() error {
		if left := k.leased(ctx); len(left) > 0 {
			return fmt.Errorf("%d sessions are leased", len(left))
		}
		return nil
	})
	if err == nil {
		return 0, nil
	}
	for id, s := range k.leased(ctx) {
		orphans++
		started, _ := time.Parse(time.RFC3339, fmt.Sprint(s["issued_at"]))
		if !k.wasMissed(fmt.Sprint(s["role"]), started) {
			k.tally.fail("session %s is leased, but Vault has no lease, and no reader left: %v", id, s)
		}
		if _, err := k.root.Logical().DeleteWithContext(ctx, mountPath+"/sessions/"+id); err != nil {
			return orphans, fmt.Errorf("delete session %s: %w", id, err)
		}
	}
	return orphans, nil
}

// wasMissed finds a reader that left and may have been given a session of that role, and takes it off the list. A shared
// session may have been started long before, and one that Workfront has returned again, for another role.
func (k *soak) wasMissed(role string, started time.Time) bool {
	again := k.workfront.Stats().Reissued
	if n := len(k.rounds); n > 0 {
		again -= k.rounds[n-1].stats.Reissued
	}
	k.absentMu.Lock()
	defer k.absentMu.Unlock()
	i := slices.IndexFunc(k.absent, func(a absent) bool {
		return again > 0 || a.role == role && !started.After(a.off) && (kindOf(role) != "fresh" || !started.Before(a.asked.Truncate(time.Second)))
	})
	if i < 0 {
		return false
	}
	k.absent = slices.Delete(k.absent, i, i+1)
	return true
}

// leased returns what the plugin says of each session that has leases, by its ID.
func (k *soak) leased(ctx context.Context) map[string]map[string]any {
	found := k.sessions(ctx)
	maps.DeleteFunc(found, func(_ string, s map[string]any) bool { return fmt.Sprint(s["leases"]) == "0" })
	return found
}

// sessions returns what the plugin says of its sessions, by their IDs.
func (k *soak) sessions(ctx context.Context) map[string]map[string]any {
	found := map[string]map[string]any{}
	listed, err := k.root.Logical().ListWithContext(ctx, mountPath+"/sessions")
	if err != nil || listed == nil {
		return found
	}
	infos, _ := listed.Data["key_info"].(map[string]any)
	for id, info := range infos {
		found[id], _ = info.(map[string]any)
	}
	return found
}
