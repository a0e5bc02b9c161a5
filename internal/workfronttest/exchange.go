package workfronttest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// exchangePath and its parameters: oauth-app-jwt-flow.
const (
	exchangePath = "/integrations/oauth2/api/v1/jwt/exchange"

	paramClientID     = "client_id"
	paramClientSecret = "client_secret"
	paramJWT          = "jwt_token"
)

// exchangeAnswer is documented for the sibling token endpoint (oauth-app-code-token-flow); expires_in is added to it.
type exchangeAnswer struct {
	TokenType    string `json:"token_type"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	WID          string `json:"wid"`
}

// exchange is POST /integrations/oauth2/api/v1/jwt/exchange.
func (s *Server) exchange(c *call) answer {
	b := s.currentBehaviour()
	if c.Method != http.MethodPost {
		a := structural(c, b, http.StatusMethodNotAllowed, "the method is not POST")
		a.header.Set("Allow", http.MethodPost)
		return a
	}
	if !isForm(c.Header) {
		return structural(c, b, http.StatusUnsupportedMediaType, "the content type is not application/x-www-form-urlencoded")
	}
	if c.URL.RawQuery != "" {
		return structural(c, b, http.StatusBadRequest, "there are parameters in the query")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return structural(c, b, http.StatusBadRequest, "the body is malformed")
	}
	for _, name := range []string{paramClientID, paramClientSecret, paramJWT} {
		switch values := form[name]; {
		case len(values) > 1:
			return structural(c, b, http.StatusBadRequest, name+" is given more than once")
		case len(values) == 0 || values[0] == "":
			return structural(c, b, http.StatusBadRequest, name+" is missing")
		}
	}
	if len(form) != 3 {
		return structural(c, b, http.StatusBadRequest, "there is an unknown parameter")
	}
	g, refused := s.authenticate(form, b)
	if refused != nil {
		return refuseCredentials(c, b, *refused)
	}
	return s.startSession(g, b)
}

// authenticate finds whom the credentials speak for, or says why they speak for nobody.
func (s *Server) authenticate(form url.Values, b Behaviour) (grant, *refusal) {
	now := s.now().Add(b.ClockOffset)
	a, err := parseAssertion(form.Get(paramJWT), now)
	if err != nil {
		return grant{}, &refusal{invalidGrant, err.Error()}
	}
	clientID := form.Get(paramClientID)
	s.mu.Lock()
	defer s.mu.Unlock()
	app, err := s.application(clientID)
	if err != nil {
		return grant{}, &refusal{invalidClient, "unknown client"}
	}
	if !slices.Contains(app.secrets, form.Get(paramClientSecret)) {
		return grant{}, &refusal{invalidClient, "wrong client secret"}
	}
	if a.issuer != app.customerID {
		return grant{}, &refusal{invalidGrant, "iss is not the customer id"}
	}
	if _, ok := s.users[a.subject]; !ok {
		return grant{}, &refusal{invalidGrant, "sub is no user"}
	}
	i := slices.IndexFunc(app.keys, func(k *publicKey) bool { return k.userID == a.subject && a.signedBy(k) })
	if i < 0 {
		return grant{}, &refusal{invalidGrant, "not signed by a key that the user added to the application"}
	}
	if b.CertificateDates && !app.keys[i].validAt(now) {
		return grant{}, &refusal{invalidGrant, "the certificate of the key is not valid now"}
	}
	return grant{clientID: clientID, customerID: app.customerID, userID: a.subject}, nil
}

func (s *Server) startSession(g grant, b Behaviour) answer {
	s.mu.Lock()
	e := s.open(g)
	left := s.expiry(e).Sub(s.now())
	s.mu.Unlock()
	body := exchangeAnswer{TokenType: "sessionID", AccessToken: e.token, WID: NewID()}
	if b.RefreshToken {
		body.RefreshToken = NewID()
	}
	expiresIn := strconv.FormatInt(int64(left/time.Second), 10)
	if b.ExpiresIn != nil {
		expiresIn = *b.ExpiresIn
	}
	a := jsonAnswer(http.StatusOK, body)
	if expiresIn != OmitExpiresIn {
		// Added to the text, because it may be malformed on purpose.
		a.body = fmt.Appendf(bytes.TrimSuffix(a.body, []byte("}")), `,"expires_in":%s}`, expiresIn)
	}
	a.session, a.wait = e, b.ExchangeDelay
	return a
}
