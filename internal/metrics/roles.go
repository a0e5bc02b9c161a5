package metrics

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// roleFailures counts the failed exchanges of each role. A role without a failure has no series, because there can be
// thousands of roles; one that was deleted has none any more.
type roleFailures struct {
	total *prometheus.CounterVec

	mu    sync.Mutex
	names map[string]bool // the roles that have series; those of "", which is no role, are not among them
	// changed says that a role may have been deleted and yet have series: it failed, or another node changed a role, since
	// KeepRoles.
	changed bool
}

func newRoleFailures(r *prometheus.Registry) *roleFailures {
	f := &roleFailures{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "role_exchange_failures_total",
			Help: "Exchanges for the readers of a role that failed; the role is empty for those of token. There are no series " +
				"for a role without a failure, and none for those of check and verify_connection.",
		}, []string{labelRole, labelOutcome}),
		names: make(map[string]bool),
	}
	r.MustRegister(f.total)
	return f
}

// ExchangeFailed counts an exchange that failed for the readers of a role, or of the mount's defaults if role is empty.
func (m *Metrics) ExchangeFailed(role string, err error) {
	f := m.roles
	f.mu.Lock()
	defer f.mu.Unlock()
	f.total.WithLabelValues(role, string(outcomeOf(err))).Inc()
	if role != "" {
		f.names[role], f.changed = true, true
	}
}

// ForgetRole removes the series of a role that was deleted.
func (m *Metrics) ForgetRole(role string) {
	m.roles.mu.Lock()
	defer m.roles.mu.Unlock()
	m.roles.forgetLocked(role)
}

// RolesChanged says that another node has written or deleted a role.
func (m *Metrics) RolesChanged() {
	m.roles.mu.Lock()
	defer m.roles.mu.Unlock()
	m.roles.changed = true
}

// KeepRoles removes the series of roles that do not exist: of one that was deleted while an exchange for it was under way,
// or on another node. It calls list, which returns the roles, only if there can be such series. Its error is that of list.
func (m *Metrics) KeepRoles(list func() ([]string, error)) error {
	f := m.roles
	f.mu.Lock()
	look := f.changed && len(f.names) > 0
	f.changed = false
	f.mu.Unlock()
	if !look {
		return nil
	}
	existing, err := list()
	slices.Sort(existing)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.changed = true
		return err
	}
	for role := range f.names {
		if _, found := slices.BinarySearch(existing, role); !found {
			f.forgetLocked(role)
		}
	}
	return nil
}

func (f *roleFailures) forgetLocked(role string) {
	if f.names[role] {
		f.total.DeletePartialMatch(prometheus.Labels{labelRole: role})
		delete(f.names, role)
	}
}
