package await_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
)

func TestThatIsMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		await.That(t, "10 s have passed", func() bool { return time.Since(began) >= 10*time.Second })
	})
}

// failing is a test that fails.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestThatIsNotMet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &failing{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			await.That(f, "pigs fly", func() bool { return false })
			t.Error("the test went on")
		}()
		<-done
		if !strings.Contains(f.text, "not within 30s: pigs fly") {
			t.Errorf("got %q", f.text)
		}
	})
}
