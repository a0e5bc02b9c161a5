package settings

import (
	"regexp"
	"time"

	"vault-plugin-secrets-workfront/internal/pemtext"
	"vault-plugin-secrets-workfront/internal/workfront"
)

const (
	minSessionTTL = 10 * time.Second
	maxSessionTTL = 32 * 24 * time.Hour
)

// change returns what becomes of c, or an *InputError.
func (c *Config) change(changes Changes) (*Config, error) {
	changed := *c
	if err := changes.apply(changed.setters()); err != nil {
		return nil, err
	}
	if err := changed.check(); err != nil {
		return nil, err
	}
	_, secretSent := changes[FieldClientSecret]
	return &changed, checkMove(c, &changed, secretSent)
}

func (c *Config) setters() map[string]setter {
	return map[string]setter{
		FieldBaseURL:         setText(FieldBaseURL, &c.BaseURL, maxIDLength, true),
		FieldClientID:        setID(FieldClientID, &c.ClientID, maxIDLength, true, false),
		FieldClientSecret:    setID(FieldClientSecret, &c.ClientSecret, maxSecretLength, true, true),
		FieldCustomerID:      setID(FieldCustomerID, &c.CustomerID, maxIDLength, true, false),
		FieldUserID:          setUserID(&c.UserID),
		FieldKey:             setText(FieldKey, &c.Key, maxIDLength, false),
		FieldTTL:             setDuration(FieldTTL, &c.TTL, 0, MaxDuration),
		FieldMaxTTL:          setDuration(FieldMaxTTL, &c.MaxTTL, 0, MaxDuration),
		FieldShareSession:    setBool(&c.ShareSession),
		FieldJWTTTL:          setDuration(FieldJWTTTL, &c.JWTTTL, 30*time.Second, 10*time.Minute),
		FieldSessionTTL:      setDuration(FieldSessionTTL, &c.SessionTTL, minSessionTTL, maxSessionTTL),
		FieldAPIVersion:      setText(FieldAPIVersion, &c.APIVersion, maxIDLength, false),
		FieldRequestTimeout:  setDuration(FieldRequestTimeout, &c.RequestTimeout, time.Second, time.Minute),
		FieldMaxRetries:      setInt(FieldMaxRetries, &c.MaxRetries, 0, 5),
		FieldMaxConnections:  setCount(FieldMaxConnections, &c.MaxConnections, 2, 64),
		FieldCACert:          setCACert(&c.CACert),
		FieldAllowCustomHost: setBool(&c.AllowCustomHost),
	}
}

// setCACert keeps the certificates as plain PEM, whatever they came in: what is read is what is trusted.
func setCACert(target *string) setter {
	return func(value any) error {
		text, _ := value.(string)
		if len(text) > maxPEMLength {
			return BadField(FieldCACert, "is longer than 64 KiB; give only the CAs that Workfront's certificate is signed by")
		}
		certificates, err := pemtext.Certificates(text)
		if err != nil {
			return BadField(FieldCACert, "%s", err)
		}
		*target = certificates
		return nil
	}
}

var apiVersionFormat = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]{1,2}$`)

// check looks at the settings as a whole, and brings base_url into its normal form.
func (c *Config) check() error {
	required := []struct{ name, value string }{
		{FieldBaseURL, c.BaseURL}, {FieldClientID, c.ClientID}, {FieldClientSecret, c.ClientSecret}, {FieldCustomerID, c.CustomerID},
	}
	for _, r := range required {
		if r.value == "" {
			return BadField(r.name, "is required; give it together with the other settings")
		}
	}
	baseURL, err := workfront.ParseBaseURL(c.BaseURL, c.AllowCustomHost)
	if err != nil {
		return BadField(FieldBaseURL, "%s", err)
	}
	c.BaseURL = baseURL
	effective := c.WithDefaults()
	if err := CheckName(FieldKey, effective.Key); err != nil {
		return err
	}
	switch {
	case !apiVersionFormat.MatchString(effective.APIVersion):
		return BadField(FieldAPIVersion, "is no version of Workfront's API; write it like %s", DefaultAPIVersion)
	case effective.JWTTTL < effective.RequestTimeout:
		return BadField(FieldJWTTTL, "(%s) must not be shorter than request_timeout (%s), or a late retry would present an expired JWT",
			short(effective.JWTTTL), short(effective.RequestTimeout))
	}
	return checkTTLs(c.TTL, c.MaxTTL)
}

// CheckIDs finds the Client ID in the place of the Customer ID. It is no rule for a write, because nobody documents
// that the two differ everywhere, but where Workfront has refused them there is no likelier cause.
func (c *Config) CheckIDs() error {
	if c.CustomerID == c.ClientID {
		return BadField(FieldCustomerID, "is the same as client_id; take the Customer ID from the details of the OAuth2 "+
			"application in Workfront")
	}
	return nil
}

// checkTTLs refuses a default that its own cap would cut.
func checkTTLs(ttl, maxTTL time.Duration) error {
	if maxTTL > 0 && ttl > maxTTL {
		return BadField(FieldTTL, "(%s) must not be longer than max_ttl (%s)", short(ttl), short(maxTTL))
	}
	return nil
}

// checkMove keeps anyone who can write config, but does not know the client secret, from having it sent elsewhere.
func checkMove(old, c *Config, secretSent bool) error {
	if old.ClientSecret == "" || secretSent {
		return nil
	}
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{FieldBaseURL, old.BaseURL != c.BaseURL},
		{FieldCACert, old.CACert != c.CACert},
		{FieldAllowCustomHost, old.AllowCustomHost != c.AllowCustomHost},
	} {
		if f.changed {
			return BadField(f.name, "decides where the client secret is sent; to change it, give client_secret in the same request")
		}
	}
	return nil
}
