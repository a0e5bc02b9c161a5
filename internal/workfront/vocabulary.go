package workfront

import "strings"

// vocabulary is what refusals are worded with: the words that hold English sentences together, and those of OAuth 2,
// JWT and Workfront's API. A word of twelve letters or more has to be here to be passed on, and so has half of a
// message; see sentence. It covers what RFC 6749, Adobe IMS, Workfront's API and the
// libraries that servers check JWTs with (jjwt, java-jwt, Nimbus, Spring Security, jsonwebtoken) say; the test of
// real-life messages has examples of each.
var vocabulary = func() map[string]struct{} {
	words := strings.Fields(`
a about again all already also am an and another any are aren as at be because been before being both but by can
cannot could did do does doesn don done during e.g each either else etc every few first for from had has have having
here how i i.e if in instead into is isn it its last less many may might more most much must neither never new next
no none nor not now of off old on once one only onto or other our out over own per please same should since so some
sorry still such than that the their them then there these they this those through to too two under until up us very
via was way we were what when where which while who whose why will with within without won would yet you your

accept accepted access account accounts action active actual address admin administrator administrators agent
algorithm allow allowed api apimodel app application applications argument array asserted assertion attached attask
attempt attempts attribute audience auth authenticate authenticated authentication authenticationexception
authenticator authorisation authorization authorizations authorize authorized authorizing available bad base64
base64url based basic bearer begin binding bindings biz blocked body bound browser call called caller calls
certificate certificates challenge change changed character characters check claim claims class client clientid
clients clock code com common communication compact compromised computed concurrent concurrently confidential config
configuration configured confirmation conflict connect connection consent contact contain contained contains content
context correct create created credential credentials critical cryptographic currently customer data date day days
deactivated declined decode decoded decoding default defined deleted denied deny deprecated description determine
difference digital disabled disallowed documentation does domain duplicate email empty enable enabled encoded
encoding encountered ended endpoint enough entity environment error errors es256 establish established exceeded
exception exchange exist existing exists exp expect expected expiration expire expired expires expiry failed failure
false field fields forbidden form format found full functionality future gateway general generated get given gone
grant granted grants group has hash header headers host hour hours hs256 http https iat id identification identified
identifier identity ids ignored impersonation implementation inactive include included includes incoming
incompatible inconsistent incorrect incorrectly information input instructions insufficient integration integrations
interaction internal invalid invalidated iss issue issued issuer json jws jwt key keys kid know known later length
license licensed lifetime limit limited lived load locally locked log logged login logout long made maintenance
malformed match matched matches matching maximum media member message method milliseconds minute minutes
misconfiguration misconfigured mismatch missing model multiple name nbf needed network nonce notification null
number oauth oauth2 object objects occurred operation option organisation organization origin page pair parameter
parameters parse parsed parsing part party password path payload pending period permission permissions permitted
policy post present preview previous private problem process processed processing production profile property
protocol provide provided provider proxy public query quota range rate read reason reasonable received recognised
recognized redirect reference refresh refused registered registration rejected release removed request requested
requests require required requires resource resources response restricted restrictions result resulted retry revoked
right role rs256 rsa saml sandbox scope scopes second seconds secret secrets secure security segments send sent
server service session sessionid sessions set setting settings sha256 sha256withrsa ps256 rs384 rs512 short sign signature signatures signed signing
simultaneous simultaneously size skew slow source specification specified sso state status string sub subject
subscription success successful successfully sufficient support supported supports suspended syntax system technical
temporarily temporary tenant terminated time timeframe timeout timestamp token tokens transaction true trust trusted
try type unable unauthenticated unauthorised unauthorized unavailable unexpected unexpectedly unknown unrecognised
unrecognized unregistered unsigned unspecified unsuccessful unsupported update upgrade uri url urn usage use used
user username users using valid validate validated validating validation validity value values verification verified
verify version versions view web window work workfront wrong x509 xml zone`)
	known := make(map[string]struct{}, len(words))
	for _, w := range words {
		known[w] = struct{}{}
	}
	return known
}()

func isKnown(word string) bool {
	_, known := vocabulary[strings.ToLower(word)]
	return known
}
