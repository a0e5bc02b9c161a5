package workfronttest

import (
	"net/http"
	"strings"
)

// notLoggedIn is what the API says of a dead session: clients are known that go by this text, whatever the status.
const notLoggedIn = "You are not currently logged in."

// useSession wants exactly one sessionID header, with the token of a living session that is known, and keeps that from being
// idle.
func (s *Server) useSession(h http.Header) (*session, bool) {
	values := h.Values("sessionID")
	if len(values) != 1 {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.session(values[0])
	if e == nil || !s.isKnown(e) {
		return nil, false
	}
	e.used = s.now()
	return e, true
}

// deadSession answers a call without a living session, in the way that the behaviour says.
func (b Behaviour) deadSession(sent string) answer {
	said := apiError{Message: "the session is not valid"}
	switch b.DeadSession {
	case DeadByMessage:
		said.Message = notLoggedIn
	case DeadByStatus:
		said.Class = sessionClass
	default:
		said.Class = authenticationClass
	}
	said.Message = echo(said.Message, b, sent)
	a := jsonAnswer(defaultTo(b.DeadSessionStatus, http.StatusUnauthorized), failure{said})
	a.refusal = "no living session"
	return a
}

// logout answers as the client that Adobe published expects it (npm workfront-api 6.2.0).
func (s *Server) logout(token string, b Behaviour) answer {
	if b.LogoutAnswer != "" {
		return newAnswer(http.StatusOK, jsonType, b.LogoutAnswer)
	}
	if !s.EndSession(token) {
		return b.deadSession(token) // a rival was faster
	}
	return jsonAnswer(http.StatusOK, success{map[string]bool{"success": true}})
}

// apiSession is what Adobe's OpenAPI document says of the session resource.
type apiSession struct {
	SessionID          string      `json:"sessionID"` // yes, the token
	UserID             string      `json:"userID"`
	CustomerID         string      `json:"customerID"`
	IsAdmin            bool        `json:"isAdmin"`
	TenantID           string      `json:"tenantID"`
	VersionInformation apiVersions `json:"versionInformation"`
}

// apiVersions names the version that was called and all that exist, each with its path.
type apiVersions struct {
	CurrentAPI  string            `json:"currentAPI"`
	APIVersions map[string]string `json:"apiVersions"`
}

func (b Behaviour) noSessionResource() answer {
	if b.SessionResource == SessionPage {
		return page(http.StatusOK)
	}
	return apiFailure(http.StatusNotFound, resourceClass, "unknown resource")
}

func showSession(e *session, version string, b Behaviour) answer {
	shown := apiSession{
		SessionID: e.token, UserID: e.grant.userID, CustomerID: e.grant.customerID, TenantID: NewID(),
		VersionInformation: apiVersions{
			CurrentAPI: strings.TrimPrefix(version, "v"), APIVersions: map[string]string{},
		},
	}
	for _, v := range supportedVersions() {
		shown.VersionInformation.APIVersions[strings.TrimPrefix(v, "v")] = apiPrefix + v
	}
	switch b.SessionResource {
	case SessionOtherUser:
		shown.UserID = NewID()
	case SessionOtherCustomer:
		shown.CustomerID = NewID()
	}
	return jsonAnswer(http.StatusOK, success{shown})
}
