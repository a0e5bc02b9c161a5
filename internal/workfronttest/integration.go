package workfronttest

import "errors"

// Integration is a Server with one OAuth2 application and one user: everything an integration needs except a public key.
type Integration struct {
	*Server
	App  Application
	User User
}

// StartIntegration starts a server with an application and a user with random IDs. The caller closes it.
func StartIntegration(o Options) (*Integration, error) {
	user := User{ID: NewID(), Name: "Ida Integration", EmailAddr: "ida@example.com"}
	return StartIntegrationAs(o, newApplication(), user)
}

// StartIntegrationAs starts a server with this application and this user. The caller closes it.
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

// Upload adds a public key to the application on behalf of the user. See AddPublicKey for the PEM and the fingerprint.
func (i *Integration) Upload(pem string) (fingerprint string, err error) {
	return i.AddPublicKey(i.App.ClientID, i.User.ID, pem)
}
