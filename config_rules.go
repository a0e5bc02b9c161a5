package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	minSessionTTL = 10 * time.Second
	maxSessionTTL = 32 * 24 * time.Hour
)

func configSetters(c *config) map[string]setter {
	return map[string]setter{
		fieldBaseURL:         setText(fieldBaseURL, &c.BaseURL, maxIDLength, true),
		fieldClientID:        setText(fieldClientID, &c.ClientID, maxIDLength, true),
		fieldClientSecret:    setText(fieldClientSecret, &c.ClientSecret, maxSecretLength, true),
		fieldCustomerID:      setText(fieldCustomerID, &c.CustomerID, maxIDLength, true),
		fieldUserID:          setText(fieldUserID, &c.UserID, maxIDLength, false),
		fieldKey:             setText(fieldKey, &c.Key, maxIDLength, false),
		fieldTTL:             setDuration(fieldTTL, &c.TTL, 0, maxDuration),
		fieldMaxTTL:          setDuration(fieldMaxTTL, &c.MaxTTL, 0, maxDuration),
		fieldShareSession:    setBool(&c.ShareSession),
		fieldJWTTTL:          setDuration(fieldJWTTTL, &c.JWTTTL, 30*time.Second, 10*time.Minute),
		fieldSessionTTL:      setDuration(fieldSessionTTL, &c.SessionTTL, minSessionTTL, maxSessionTTL),
		fieldAPIVersion:      setText(fieldAPIVersion, &c.APIVersion, maxIDLength, false),
		fieldRequestTimeout:  setDuration(fieldRequestTimeout, &c.RequestTimeout, time.Second, time.Minute),
		fieldMaxRetries:      setInt(fieldMaxRetries, &c.MaxRetries, 0, 5),
		fieldCACert:          setCACert(&c.CACert),
		fieldAllowCustomHost: setBool(&c.AllowCustomHost),
	}
}

func setCACert(target *string) setter {
	return func(value any) error {
		text, _ := value.(string)
		if len(text) > maxPEMLength {
			return badField(fieldCACert, "is longer than 64 KiB; give only the CAs that Workfront's certificate is signed by")
		}
		if err := workfront.ParseCACert(text); err != nil {
			return badField(fieldCACert, "%s", err)
		}
		*target = text
		return nil
	}
}

var apiVersionFormat = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)

// check looks at the settings as a whole, and brings base_url into its normal form.
func (c *config) check() error {
	required := []struct{ name, value string }{
		{fieldBaseURL, c.BaseURL}, {fieldClientID, c.ClientID}, {fieldClientSecret, c.ClientSecret}, {fieldCustomerID, c.CustomerID},
	}
	for _, r := range required {
		if r.value == "" {
			return badField(r.name, "is required; give it together with the other settings")
		}
	}
	baseURL, err := workfront.ParseBaseURL(c.BaseURL, c.AllowCustomHost)
	if err != nil {
		return badField(fieldBaseURL, "%s", err)
	}
	c.BaseURL = baseURL
	effective := c.withDefaults()
	if err := checkName(fieldKey, effective.Key); err != nil {
		return err
	}
	switch {
	case !apiVersionFormat.MatchString(effective.APIVersion):
		return badField(fieldAPIVersion, "is no version of Workfront's API; write it like %s", defaultAPIVersion)
	case effective.JWTTTL < effective.RequestTimeout:
		return badField(fieldJWTTTL, "(%s) must not be shorter than request_timeout (%s), or a late retry would present an expired JWT",
			short(effective.JWTTTL), short(effective.RequestTimeout))
	}
	return checkTTLs(c.TTL, c.MaxTTL)
}

// checkIDs finds the Client ID in the place of the Customer ID. It is no rule for a write, because nobody documents that the two
// differ everywhere, but where Workfront has refused them there is no likelier cause.
func (c *config) checkIDs() error {
	if c.CustomerID == c.ClientID {
		return badField(fieldCustomerID, "is the same as client_id; take the Customer ID from the details of the OAuth2 application in Workfront")
	}
	return nil
}

// checkTTLs refuses a default that its own cap would cut.
func checkTTLs(ttl, maxTTL time.Duration) error {
	if maxTTL > 0 && ttl > maxTTL {
		return badField(fieldTTL, "(%s) must not be longer than max_ttl (%s)", short(ttl), short(maxTTL))
	}
	return nil
}

// checkMove keeps whoever may write config, but does not know the client secret, from having it sent elsewhere.
func checkMove(old, c *config, secretSent bool) error {
	if old.ClientSecret == "" || secretSent {
		return nil
	}
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{fieldBaseURL, old.BaseURL != c.BaseURL},
		{fieldCACert, old.CACert != c.CACert},
		{fieldAllowCustomHost, old.AllowCustomHost != c.AllowCustomHost},
	} {
		if f.changed {
			return badField(f.name, "decides where the client secret is sent; to change it, give client_secret in the same request")
		}
	}
	return nil
}

// configWarnings is the answer to a write: what is still missing for a token.
func (b *backend) configWarnings(ctx context.Context, req *logical.Request, c config) (*logical.Response, error) {
	resp := &logical.Response{}
	key, err := getKey(ctx, req.Storage, c.Key)
	if err != nil {
		return nil, err
	}
	if key == nil {
		resp.AddWarning(missingKey(req, c.Key))
	}
	if c.UserID == "" {
		resp.AddWarning("No user_id is set, so token cannot be read yet, and of the roles only those that name one.")
	}
	return resp, b.warnOfExpiry(key, c.Key, resp)
}

func missingKey(req *logical.Request, name string) string {
	return fmt.Sprintf("The signing key %q does not exist yet; run `vault write -f %skeys/%s/generate`, or import one.", name, req.MountPoint, name)
}
