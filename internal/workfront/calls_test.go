package workfront_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"vault-plugin-secrets-workfront/internal/workfront"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		want := func(when string, want ...workfront.Calls) {
			t.Helper()
			synctest.Wait()
			if got := g.Calls(); !slices.Equal(got, want) {
				t.Errorf("%s: got %+v, want %+v", when, got, want)
			}
		}
		want("nothing was called")
		g.SetMaxConnections(gatewayURL, 4)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		c := g.client(t, "")
		begin(5, exchangeOnce(ctx, c)) // a quarter of the slots is for logouts alone
		begin(3, logOutOnce(ctx, c.Background()))
		want("all slots are taken", workfront.Calls{BaseURL: gatewayURL, InFlight: 3, Waiting: 5, Limit: 4})
		g.answer(t, "exchange", http.StatusTooManyRequests)
		want("Workfront limits the calls", workfront.Calls{BaseURL: gatewayURL, InFlight: 2, Waiting: 5, Limit: 2})
		leave()
		g.finish(t)
		want("all have left", workfront.Calls{BaseURL: gatewayURL, Limit: 2})
	})
}
