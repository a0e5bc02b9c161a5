package workfronttest

import (
	"net/http"
	"net/url"
	"strings"
)

// RefusalForm is the form of the body of a refused exchange, which is not documented.
type RefusalForm string

// The forms that a refusal can have. Each goes with a status of its own in it or beside it.
const (
	// RefusalOAuthService is {"statusCode":401,"error":true,"type":"…","message":"…"}, as the sibling endpoint is known
	// to answer.
	RefusalOAuthService RefusalForm = "oauth-service"
	// RefusalRFC6749 is {"error":"…","error_description":"…"} (RFC 6749, 5.2).
	RefusalRFC6749 RefusalForm = "rfc6749"
	// RefusalAPI is {"error":{"class":"…","message":"…"}}, as the rest of Workfront's API answers.
	RefusalAPI RefusalForm = "api"
	// RefusalMessage is {"message":"…"}.
	RefusalMessage RefusalForm = "message"
)

// The reasons that Behaviour.TellReasons tells (RFC 6749, 5.2).
const (
	invalidClient  = "invalid_client"
	invalidGrant   = "invalid_grant"
	invalidRequest = "invalid_request"
)

// refusalStatus and refusalMessage answer all refusals of credentials, JWT and user. Which status Workfront uses is not
// documented; neither is what it says, so the stand-in says nothing that a client could lean on.
const (
	refusalStatus  = http.StatusUnauthorized
	refusalMessage = "refused"
)

// message is the body of RefusalMessage.
type message struct {
	Message string `json:"message"`
}

// oauthFailure is the body of RefusalOAuthService. Note the boolean.
type oauthFailure struct {
	StatusCode int    `json:"statusCode"`
	Error      bool   `json:"error"`
	Type       string `json:"type"`
	Message    string `json:"message"`
}

// rfcFailure is the body of RefusalRFC6749.
type rfcFailure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// refusal is why credentials are refused: the code that TellReasons tells, and the reason that no client sees.
type refusal struct{ code, reason string }

// structural refuses a request that no credentials could save. Its text may differ from case to case.
func structural(c *call, b Behaviour, status int, text string) answer {
	a := b.refuse(status, invalidRequest, echo(text, b, c.URL.RawQuery+string(c.body)))
	a.refusal = text
	return a
}

// refuseCredentials says the same of all credentials, or names the reason's code if the behaviour says so.
func refuseCredentials(c *call, b Behaviour, r refusal) answer {
	a := b.refuse(refusalStatus, r.code, echo(refusalMessage, b, string(c.body)))
	a.refusal, a.wait = r.reason, b.ExchangeDelay
	return a
}

// refuse makes a refusal in the form that is wanted. The code stays out of it unless it is to be told.
func (b Behaviour) refuse(status int, code, text string) answer {
	told := b.TellReasons
	switch b.RefusalForm {
	case RefusalRFC6749:
		if !told {
			return jsonAnswer(status, rfcFailure{"access_denied", text}) // the member is required (5.2), and this tells nothing
		}
		if status == refusalStatus && code != invalidClient {
			status = http.StatusBadRequest // only a client that is not known may be answered with a 401
		}
		return jsonAnswer(status, rfcFailure{code, text})
	case RefusalAPI:
		if told {
			text = code + ": " + text
		}
		return jsonAnswer(status, failure{apiError{Class: authenticationClass, Message: text}})
	case RefusalMessage:
		if told {
			text = code + ": " + text
		}
		return jsonAnswer(status, message{text})
	default:
		if !told {
			code = strings.ReplaceAll(http.StatusText(status), " ", "")
		}
		return jsonAnswer(status, oauthFailure{StatusCode: status, Error: true, Type: code, Message: text})
	}
}

// echo adds what was sent to a refusal's text if the behaviour says so. The text is decoded, as a careless server
// would show it.
func echo(text string, b Behaviour, sent string) string {
	if !b.EchoRefusals {
		return text
	}
	if decoded, err := url.QueryUnescape(sent); err == nil {
		sent = decoded
	}
	return text + ": " + sent
}

// dress gives an answer the content type and the first bytes that the behaviour asks for.
func (b Behaviour) dress(a answer) answer {
	if a.header.Get("Content-Type") != jsonType {
		return a
	}
	if b.ErrorsAsHTML && a.refusal != "" {
		a.header.Set("Content-Type", htmlType)
	}
	if b.ByteOrderMark {
		a.body = append([]byte("\ufeff"), a.body...)
	}
	return a
}
