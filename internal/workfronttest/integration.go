package workfronttest

import "errors"

// Integration is a server in whose Setup an administrator has created one OAuth2 application, and one user that it acts for:
// all that an integration needs, but for its public key.
type Integration struct {
	*Server
	App  Application
	User User
}

// StartIntegration starts a server with an application and a user of any IDs.
func StartIntegration(o Options) (*Integration, error) {
	return StartIntegrationAs(o,
		Application{ClientID: NewID(), ClientSecret: NewID(), CustomerID: NewID()},
		User{ID: NewID(), Name: "Ida Integration", EmailAddr: "ida@example.com"},
	)
}

// StartIntegrationAs starts a server with this application and this user.
func StartIntegrationAs(o Options, app Application, user User) (*Integration, error) {
	server, err := Start(o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(server.ImportApplication(app), server.AddUser(user)); err != nil {
		server.Close()
		return nil, err
	}
	return &Integration{Server: server, App: app, User: user}, nil
}

// Upload adds a public key to the application on behalf of the user. AddPublicKey says what the PEM holds, and what is
// returned.
func (i *Integration) Upload(pem string) (fingerprint string, err error) {
	return i.AddPublicKey(i.App.ClientID, i.User.ID, pem)
}
