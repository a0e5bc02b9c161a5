package notice_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vault-plugin-secrets-workfront/internal/notice"
)

var start = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func TestNotice(t *testing.T) {
	var n notice.Notice
	if got := n.Due(start); got != 0 {
		t.Errorf("nothing happened: got %d, want 0", got)
	}
	if got := n.Add(start); got != 1 {
		t.Errorf("first case: got %d, want it reported at once", got)
	}
	for range 3 {
		if got := n.Add(start.Add(notice.Every - time.Second)); got != 0 {
			t.Errorf("within a minute: got %d, want 0", got)
		}
	}
	if got := n.Due(start.Add(notice.Every)); got != 3 {
		t.Errorf("after a minute: got %d, want 3", got)
	}
	if got := n.Due(start.Add(3 * notice.Every)); got != 0 {
		t.Errorf("nothing more happened: got %d, want 0", got)
	}
}

func TestTallyNamesTheRolesWithTheMostCases(t *testing.T) {
	var tally notice.Tally
	failed := errors.New("failed")
	if got, want := tally.Add(start, "", failed), (notice.Report{Count: 1, Roles: "(none): 1", Err: failed}); got != want {
		t.Errorf("first case: got %+v, want %+v", got, want)
	}
	for role, count := range map[string]int{"a": 3, "b": 5, "c": 1, "d": 1, "e": 2, "f": 1, "": 4} {
		for i := range count {
			if got := tally.Add(start, role, fmt.Errorf("case %d", i)); got.Count != 0 {
				t.Errorf("within a minute: got %+v, want nothing", got)
			}
		}
	}
	last := errors.New("last")
	got := tally.Add(start.Add(notice.Every), "b", last)
	want := notice.Report{Count: 18, Roles: "b: 6, (none): 4, a: 3, e: 2, c: 1, and 2 more", Err: last}
	if got != want {
		t.Errorf("after a minute: got %+v, want %+v", got, want)
	}
	tally.Add(start.Add(notice.Every), "c", failed)
	got = tally.Due(start.Add(2 * notice.Every))
	if want := (notice.Report{Count: 1, Roles: "c: 1", Err: failed}); got != want {
		t.Errorf("another minute later: got %+v, want %+v", got, want)
	}
}

// However many report at a time, every case is in exactly one line.
func TestTallyLosesNothing(t *testing.T) {
	var tally notice.Tally
	var told sync.Map
	var cases sync.WaitGroup
	for i := range 50 {
		cases.Go(func() {
			told.Store(i, tally.Add(start.Add(time.Duration(i%3)*notice.Every), "r", nil).Count)
		})
	}
	cases.Wait()
	sum := tally.Due(start.Add(time.Hour)).Count
	told.Range(func(_, count any) bool {
		sum += count.(int)
		return true
	})
	if sum != 50 {
		t.Errorf("got %d cases, want 50", sum)
	}
}
