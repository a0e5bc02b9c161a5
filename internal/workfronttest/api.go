package workfronttest

import (
	"net/http"
	"net/url"
	"strings"
)

// apiPrefix is followed by a version (api-basics).
const apiPrefix = "/attask/api/"

// apiUser is a user as the API shows it.
type apiUser struct {
	ID        string `json:"ID"`
	Name      string `json:"name"`
	ObjCode   string `json:"objCode"`
	EmailAddr string `json:"emailAddr"`
}

func showUser(u User) apiUser {
	return apiUser{ID: u.ID, Name: u.Name, ObjCode: "USER", EmailAddr: u.EmailAddr}
}

// success is the body of the API's answers.
type success struct {
	Data any `json:"data"`
}

// failure is the body of the API's refusals.
type failure struct {
	Error apiError `json:"error"`
}

type apiError struct {
	Class   string `json:"class"`
	Message string `json:"message"`
}

// authenticationClass is the class of the error that an invalid session gets.
const authenticationClass = "com.attask.common.AuthenticationException"

func apiFailure(status int, class, text string) answer {
	a := jsonAnswer(status, failure{apiError{Class: class, Message: text}})
	a.refusal = text
	return a
}

// api is GET /attask/api/<version>/... It knows the logout, user/search and user/<id>.
//
// Workfront takes a session as a header, a cookie or a query parameter. The stand-in takes the header alone: a cookie
// does nothing, and a query parameter, which would put the session into logs, is refused.
func (s *Server) api(c *call) answer {
	version, rest, _ := strings.Cut(strings.TrimPrefix(c.URL.EscapedPath(), apiPrefix), "/")
	if !supported(version) {
		return apiFailure(http.StatusNotFound, "com.attask.common.InvalidVersionException", "unsupported API version")
	}
	object, id, _ := strings.Cut(rest, "/")
	id, err := url.PathUnescape(id)
	known := rest == "logout" || object == "user" && id != ""
	if err != nil || !known {
		return apiFailure(http.StatusNotFound, "com.attask.common.InvalidResourceException", "unknown resource")
	}
	if c.Method != http.MethodGet {
		a := apiFailure(http.StatusMethodNotAllowed, "com.attask.common.InvalidMethodException", "the method is not GET")
		a.header.Set("Allow", http.MethodGet)
		return a
	}
	for _, name := range c.record.QueryFields {
		if strings.EqualFold(name, "sessionID") {
			return apiFailure(http.StatusBadRequest, "com.attask.common.InvalidParameterException", "a session does not belong in the query")
		}
	}
	token, ok := s.authenticateSession(c.Header)
	if !ok {
		b := s.currentBehaviour()
		a := apiFailure(http.StatusUnauthorized, authenticationClass, echo("the session is not valid", b, c.Header.Get("sessionID")))
		a.refusal = "no living session"
		return a
	}
	switch {
	case rest == "logout":
		return s.logout(token)
	case id == "search":
		users := []apiUser{}
		for _, u := range s.sortedUsers() {
			users = append(users, showUser(u))
		}
		return jsonAnswer(http.StatusOK, success{users})
	default:
		return s.user(id)
	}
}

// supported tells the API versions that exist: 17 to 22 (api-version-support-schedule, as of 2026).
func supported(version string) bool {
	switch version {
	case "v17.0", "v18.0", "v19.0", "v20.0", "v21.0", "v22.0":
		return true
	}
	return false
}

// authenticateSession wants exactly one sessionID header, with the token of a living session.
func (s *Server) authenticateSession(h http.Header) (token string, ok bool) {
	values := h.Values("sessionID")
	if len(values) != 1 {
		return "", false
	}
	return values[0], s.SessionAlive(values[0])
}

// logout answers as the client that Adobe published expects it (npm workfront-api 6.2.0).
func (s *Server) logout(token string) answer {
	if text := s.currentBehaviour().LogoutAnswer; text != "" {
		return newAnswer(http.StatusOK, jsonType, text)
	}
	if !s.EndSession(token) {
		return apiFailure(http.StatusUnauthorized, authenticationClass, "the session is not valid") // a rival was faster
	}
	return jsonAnswer(http.StatusOK, success{map[string]bool{"success": true}})
}

func (s *Server) user(id string) answer {
	s.mu.Lock()
	u, ok := s.users[id]
	s.mu.Unlock()
	if !ok {
		return apiFailure(http.StatusNotFound, "com.attask.common.ObjectNotFoundException", "there is no such user")
	}
	return jsonAnswer(http.StatusOK, success{showUser(u)})
}
