package workfronttest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
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
	Class   string `json:"class,omitempty"`
	Message string `json:"message"`
}

// Classes of the API's errors. The first is documented; the others only have to differ from it.
const (
	authenticationClass = "com.attask.common.AuthenticationException"
	sessionClass        = "com.attask.common.InvalidSessionException"
	versionClass        = "com.attask.common.InvalidVersionException"
	resourceClass       = "com.attask.common.InvalidResourceException"
	methodClass         = "com.attask.common.InvalidMethodException"
	parameterClass      = "com.attask.common.InvalidParameterException"
	objectClass         = "com.attask.common.ObjectNotFoundException"
)

func apiFailure(status int, class, text string) answer {
	a := jsonAnswer(status, failure{apiError{Class: class, Message: text}})
	a.refusal = text
	return a
}

// api is /attask/api/<version>/..., or /attask/api/..., which is served with the newest version. It knows the logout, session,
// user/search and user/<id>.
//
// Workfront takes a session as a header, a cookie or a parameter. The stand-in takes the header alone: a cookie does
// nothing, and a parameter, which would put the session into logs, is refused.
func (s *Server) api(c *call) answer {
	b := s.currentBehaviour()
	version, rest := b.versionOf(strings.TrimPrefix(c.URL.EscapedPath(), apiPrefix))
	if slices.Contains(b.RetiredVersions, version) {
		return apiFailure(http.StatusGone, versionClass, "no longer available in this API version")
	}
	if !slices.Contains(supportedVersions(), version) {
		return apiFailure(http.StatusNotFound, versionClass, "unsupported API version")
	}
	object, id, _ := strings.Cut(rest, "/")
	id, err := url.PathUnescape(id)
	known := rest == "logout" || rest == "session" || object == "user" && id != ""
	if err != nil || !known {
		return b.unknownResource()
	}
	if rest == "session" && (b.SessionResource == SessionAbsent || b.SessionResource == SessionPage) {
		return b.noSessionResource()
	}
	if refused, ok := b.refuseMethod(c, rest == "logout"); ok {
		return refused
	}
	for _, name := range slices.Concat(c.record.QueryFields, c.record.FormFields) {
		if strings.EqualFold(name, "sessionID") {
			return apiFailure(http.StatusBadRequest, parameterClass, "a session does not belong in a parameter")
		}
	}
	e, ok := s.useSession(c.Header)
	if !ok {
		return b.deadSession(c.Header.Get("sessionID"))
	}
	switch {
	case rest == "logout":
		return s.logout(e.token, b)
	case rest == "session":
		return showSession(e, version, b)
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

// supportedVersions are the API versions that exist: 17 to 22 (api-version-support-schedule, as of 2026).
func supportedVersions() []string {
	return []string{"v17.0", "v18.0", "v19.0", "v20.0", "v21.0", "v22.0"}
}

// namesVersion is what the first part of a path below apiPrefix looks like if it is meant as a version.
var namesVersion = regexp.MustCompile(`^v[0-9]`)

// versionOf splits a path below apiPrefix into the version that serves it and the rest.
func (b Behaviour) versionOf(path string) (version, rest string) {
	if version, rest, _ = strings.Cut(path, "/"); namesVersion.MatchString(version) {
		return version, rest
	}
	newest := ""
	for _, v := range supportedVersions() {
		if newest == "" || !slices.Contains(b.RetiredVersions, v) {
			newest = v
		}
	}
	return newest, path
}

func (b Behaviour) unknownResource() answer {
	if b.UnknownPathStatus == http.StatusOK {
		return page(http.StatusOK)
	}
	return apiFailure(http.StatusNotFound, resourceClass, "unknown resource")
}

// refuseMethod wants GET, and of a logout what LogoutMethods says.
func (b Behaviour) refuseMethod(c *call, logout bool) (answer, bool) {
	allowed := []string{http.MethodGet}
	status := http.StatusMethodNotAllowed
	if logout {
		switch b.LogoutMethods {
		case LogoutGET:
		case LogoutPOST:
			allowed = []string{http.MethodPost}
		default:
			allowed = append(allowed, http.MethodPost)
		}
		status = defaultTo(b.LogoutRefusal, status)
	}
	if slices.Contains(allowed, c.Method) {
		return answer{}, false
	}
	text := "the method is not " + strings.Join(allowed, " or ")
	var a answer
	switch status {
	case http.StatusOK:
		a = page(status)
	case http.StatusGone:
		a = apiFailure(status, versionClass, "no longer available in this API version")
	case http.StatusNotFound:
		a = apiFailure(status, resourceClass, "unknown resource")
	case http.StatusBadRequest:
		a = apiFailure(status, parameterClass, text)
	default:
		a = apiFailure(status, methodClass, text)
		a.header.Set("Allow", strings.Join(allowed, ", "))
	}
	a.refusal = text
	return a, true
}

func (s *Server) user(id string) answer {
	s.mu.Lock()
	u, ok := s.users[id]
	s.mu.Unlock()
	if !ok {
		return apiFailure(http.StatusNotFound, objectClass, "there is no such user")
	}
	return jsonAnswer(http.StatusOK, success{showUser(u)})
}
