package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// demo is the core workflow in a real server: register the plugin, generate a key, register its certificate in
// Workfront (here: the simulator), issue a session, use it, revoke its lease. It succeeds only if all of it went as
// told.
func demo(ctx context.Context, on screen) error {
	which, err := anyServer(ctx)
	if err != nil {
		return err
	}
	plugin, sum, err := builtPlugin()
	if err != nil {
		return err
	}
	return demonstrate(ctx, on, which, plugin, sum, nil)
}

// demonstrate runs the core workflow with a plugin that is registered by a checksum. What else is to hold in the end
// can be checked by also.
func demonstrate(
	ctx context.Context, on screen, which server, plugin, sum string, also func(*story, *devServer),
) error {
	s, err := newStage()
	if err != nil {
		return err
	}
	defer s.close()
	w, err := s.startSimulator(ctx)
	if err != nil {
		return err
	}
	d, err := s.startServer(ctx, which, plugin, sum)
	if err != nil {
		return err
	}
	// Without a line end: Vault stores a file's bytes as they are.
	if err := os.WriteFile(s.path("client-secret"), []byte(w.ClientSecret), 0o600); err != nil {
		return err
	}
	t := s.tell(ctx, on)
	t.setUp(d, w)
	t.useToken(d, w)
	if also != nil {
		also(t, d)
	}
	return t.err
}

// leased is what the story needs of a token read.
type leased struct {
	LeaseID       string `json:"lease_id"`
	LeaseDuration int    `json:"lease_duration"`
	Data          struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	} `json:"data"`
}

func (t *story) setUp(d *devServer, w *workfront) {
	vault := d.command()
	t.say("1. Register the plugin. Its binary is in the plugin directory; the checksum pins that very file.")
	t.registerAndMount(d)
	t.run(vault + " read workfront/info")

	t.say("2. Generate a signing key. The private key never leaves " + d.product + "; what comes out is a certificate.")
	t.run(vault + " write -f -field=certificate workfront/keys/default/generate > workfront.crt")
	t.run("openssl x509 -in workfront.crt -noout -subject -enddate")

	t.say(`3. Register the certificate in Workfront, as the user whose sessions are to be issued:
   Setup > System > OAuth2 Applications > your Machine to Machine application > Add a public key.
   The simulator has a URL for it:`)
	t.run(t.upload(w))

	t.say(`4. Configure the connection. @ reads a file, which keeps the secret off the command line.
   (A real Workfront needs neither ca_cert nor allow_custom_host: they are for the simulator's address.)`)
	t.run(configure(vault, w))

	t.say("5. Check the whole chain: a session is started, used once, and logged out.")
	t.run(vault + " write -f workfront/check")
	var config struct{ Data map[string]any }
	t.decode(t.expect("a readable configuration", vault+" read -format=json workfront/config"), &config)
	_, shown := config.Data["client_secret"]
	t.claim("that the client secret cannot be read back", config.Data["base_url"] == w.BaseURL && !shown)
}

func (t *story) useToken(d *devServer, w *workfront) {
	vault := d.command()
	t.say(`6. Read a token. The plugin signs a JWT, exchanges it at Workfront, and returns the session
   under a lease.`)
	t.run(vault + " read -format=json workfront/token | tee token.json")
	var lease leased
	t.decode(t.readFile("token.json"), &lease)
	t.claim("a leased access token",
		lease.LeaseID != "" && lease.LeaseDuration > 0 && lease.Data.AccessToken != "" && lease.Data.TokenType == "sessionID")
	t.env = append(t.env, "ACCESS_TOKEN="+lease.Data.AccessToken, "LEASE_ID="+lease.LeaseID)
	t.say("   (ACCESS_TOKEN and LEASE_ID are its access_token and lease_id.)")

	t.say(`7. Use it. Workfront's API takes it in the header sessionID, here from standard input, off the
   command line.`)
	call := `curl --silent --show-error --cacert ca.pem --write-out '\nHTTP %{http_code}\n' --header @- \
    ` + w.BaseURL + "/attask/api/v22.0/user/" + w.UserID + ` \
    <<< "sessionID: $ACCESS_TOKEN" | tee answer`
	t.run(call)
	t.claim("that the session is alive", strings.HasSuffix(t.readFile("answer"), "\nHTTP 200\n"))

	t.say("8. Look at the lease.")
	t.run(vault + ` lease lookup "$LEASE_ID"`)

	t.say("9. Revoke it. The plugin logs the session out at Workfront. (-sync waits until that is done.)")
	t.run(vault + ` lease revoke -sync "$LEASE_ID"`)

	t.say("10. The same call again: the session is dead.")
	t.run(call)
	t.claim("that the session is dead", strings.HasSuffix(t.readFile("answer"), "\nHTTP 401\n"))
	t.expect("that the lease is gone", "! "+vault+` lease lookup "$LEASE_ID"`)

	t.say("Done: the session lived as long as its lease, and nobody saw the client secret or the private key.")
}

// upload is the command line that registers workfront.crt with the simulator.
func (*story) upload(w *workfront) string {
	return fmt.Sprintf("curl --silent --show-error --fail --cacert ca.pem --data-binary @workfront.crt \\\n"+
		"    '%s/simulator/applications/%s/public-keys?user_id=%s'", w.BaseURL, w.ClientID, w.UserID)
}

// configure is the command line that writes config. What comes from the environment stays one word of it.
func configure(vault string, w *workfront) string {
	line := fmt.Sprintf("%s write workfront/config base_url=%s \\\n    client_id=%s client_secret=@client-secret \\\n"+
		"    customer_id=%s user_id=%s", vault, quote(w.BaseURL), quote(w.ClientID), quote(w.CustomerID), quote(w.UserID))
	if w.CACertFile != "" {
		line += " \\\n    ca_cert=@ca.pem allow_custom_host=true"
	}
	return line
}
