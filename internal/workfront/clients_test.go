package workfront_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vault-plugin-secrets-workfront/internal/await"
	"vault-plugin-secrets-workfront/internal/workfront"
	"vault-plugin-secrets-workfront/internal/workfronttest"
)

func trialClientOf(t *testing.T, trial *workfront.TrialClients, e workfront.Endpoint) *workfront.Client {
	t.Helper()
	c, err := trial.Client(e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A trial keeps to the limit of the host, and leaves it as it is.
func TestTrialOnAKnownHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.SetMaxConnections(gatewayURL, 4)
		kept := g.client(t, "")
		trial := g.ForTrial()
		c := trialClientOf(t, trial, workfront.Endpoint{BaseURL: gatewayURL})
		if c == kept || c != trialClientOf(t, trial, workfront.Endpoint{BaseURL: gatewayURL}) {
			t.Error("got a client that others use, or two for one trial, want one of the trial's own")
		}
		c.Over(g)
		begin(2, exchangeOnce(t.Context(), kept))
		checkCount(t, "under way", g.underWay(""), 2)
		begin(10, exchangeOnce(t.Context(), c))
		checkCount(t, "under way with the trial's", g.underWay(""), 3)
		g.finish(t)
		trial.Close()
		trial.Close()
		if got, want := g.Calls(), []workfront.Calls{{BaseURL: gatewayURL, Limit: 4}}; !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if again := g.client(t, ""); again != kept {
			t.Error("a trial has replaced the client that others use")
		}
	})
}

// A host that only trials use has the default limit, for all of them together, and is forgotten with the last one.
func TestTrialsOnANewHost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{Clients: workfront.NewClients(workfront.ClientsOptions{})}
		defer g.Close()
		first, second := g.ForTrial(), g.ForTrial()
		for _, trial := range []*workfront.TrialClients{first, second} {
			c := trialClientOf(t, trial, workfront.Endpoint{BaseURL: gatewayURL})
			c.Over(g)
			begin(10, exchangeOnce(t.Context(), c))
		}
		checkCount(t, "under way", g.underWay(""), 6)
		g.finish(t)
		first.Close()
		if got, want := g.Calls(), []workfront.Calls{{BaseURL: gatewayURL, Limit: 8}}; !slices.Equal(got, want) {
			t.Errorf("after the first: got %+v, want %+v", got, want)
		}
		// One that goes on a little longer can still call.
		begin(1, exchangeOnce(t.Context(), trialClientOf(t, first, workfront.Endpoint{BaseURL: gatewayURL})))
		if got := len(g.Calls()); got != 1 {
			t.Errorf("got %d hosts, want 1", got)
		}
		second.Close()
		if got := g.Calls(); len(got) != 0 {
			t.Errorf("after the second: got %+v, want nothing", got)
		}
	})
}

// A host that is called by others, too, stays known when a trial is over.
func TestHostThatOutlivesATrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		trial := g.ForTrial()
		trialClientOf(t, trial, workfront.Endpoint{BaseURL: gatewayURL})
		g.SetMaxConnections(gatewayURL, 16)
		trial.Close()
		if got, want := g.Calls(), []workfront.Calls{{BaseURL: gatewayURL, Limit: 16}}; !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// What is kept elsewhere by host is told when a host is forgotten: ten minutes after the end of its last call.
func TestForgottenHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var forgotten []string
		clients := workfront.NewClients(workfront.ClientsOptions{
			Forgotten: func(baseURL string) { forgotten = append(forgotten, baseURL) },
		})
		defer clients.Close()
		clients.SetMaxConnections(gatewayURL, 16)
		c := clientOf(t, clients, workfront.Endpoint{BaseURL: gatewayURL})
		c.Over(slow(20 * time.Second))
		done := begin(1, logOutOnce(t.Context(), c))
		time.Sleep(10 * time.Minute)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		done = begin(1, logOutOnce(t.Context(), c)) // by a caller that still has the client
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Minute - time.Nanosecond)
		clients.Sweep()
		if got := clients.Calls(); len(got) != 1 || got[0].Limit != 16 || len(forgotten) != 0 {
			t.Errorf("after ten minutes less a moment: got %+v, %q forgotten, want it to be known still", got, forgotten)
		}
		time.Sleep(time.Nanosecond)
		if got := clients.Calls(); len(got) != 0 || !slices.Equal(forgotten, []string{gatewayURL}) {
			t.Errorf("after ten minutes: got %+v, %q forgotten, want it to be forgotten", got, forgotten)
		}
	})
}

// newCA returns the certificate of a CA that nothing uses.
func newCA(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "unused"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificatePEM(cert)
}

// Anyone who can write config can start trials, each with another ca_cert and another host. It is no parallel test:
// what others allocate would count.
func TestTrialsLeaveNothingBehind(t *testing.T) {
	s := newStandIn(t, workfronttest.Options{})
	clients := workfront.NewClients(workfront.ClientsOptions{})
	t.Cleanup(clients.Close)
	try := func(baseURL string) {
		trial := clients.ForTrial()
		defer trial.Close()
		c := trialClientOf(t, trial, workfront.Endpoint{BaseURL: baseURL, CACert: s.CACert() + newCA(t)})
		if baseURL != s.URL() {
			return
		}
		if _, err := c.Probe(bounded(t)); err != nil {
			t.Fatal(err)
		}
		s.start(t, c)
	}
	heap := func() uint64 {
		await.That(t, "no connection is open", func() bool { return s.OpenConnections() == 0 })
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	try(s.URL())
	before := heap()
	const trials = 250
	for i := range trials {
		try(s.URL())
		try(fmt.Sprintf("https://custom-%d.example", i))
	}
	after := heap()
	t.Logf("%d KiB before %d trials, %d KiB afterwards", before>>10, trials, after>>10)
	// The stand-in remembers the sessions. A pool of CAs alone has 100 KiB.
	if got, most := int64(after)-int64(before), int64(4<<20); got > most {
		t.Errorf("got %d KiB more, want %d KiB at most", got>>10, most>>10)
	}
	if got := clients.Calls(); len(got) != 0 {
		t.Errorf("got %d hosts, want none", len(got))
	}
}
