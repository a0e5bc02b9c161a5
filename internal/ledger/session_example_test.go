package ledger_test

import (
	"fmt"

	"vault-plugin-secrets-workfront/internal/ledger"
)

func ExampleSession_ID() {
	s := ledger.Session{Token: "not in the ID"}
	s.Endpoint.BaseURL = "https://acme.my.workfront.com"
	fmt.Println(s.ID())
	// Output: d0f06b2a88ff2aa4aabb7a3488c875c9
}
