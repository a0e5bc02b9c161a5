package workfront

import (
	"strconv"
	"strings"
)

// vocabulary is what is shown of a refusal; see wording. It holds the words that join English sentences, those of
// OAuth 2, JWT and Workfront's API, and those of the libraries and gateways in front of it: what RFC 6749, Adobe IMS,
// Workfront's API, jjwt, java-jwt, Nimbus, Spring Security, jsonwebtoken, nginx and Envoy say. The tests of refusals
// have examples. In addition, it holds the numbers of such sentences, and the versions of Workfront's API.
var vocabulary = func() map[string]struct{} {
	words := strings.Fields(`
a about above accept accepted access account accounts acr across act action active actual add added adding address
adds admin administrator administrators adobe after again against agent ago alg algorithm all allow allowed allows
along already also although always am among amr an and another any api apimodel app application applications applied
applies apply approval approved approvers are aren argument around array as ask asked asserted assertion assertions
assigned assignment assignments at attached attask attaskexception attempt attempts attribute aud audience auth
authenticate authenticated authentication authenticationexception authenticator authorisation authority
authorization authorizations authorize authorized authorizing available azp bad base64 base64url based basic be
bearer because been before begin begins behind being belong belongs below besides between beyond binding bindings
bits biz blank block blocked body both bound browser but by calendar call called caller calls can cannot category
certificate certificates challenge change changed char character characters chars check claim claims class client
clientid clients clock close closed code com come comes commit common communication compact company compare
compromised computed concurrent concurrently confidential config configuration configured confirmation conflict
connect connected connection consent consumer contact contacted contain contained contains content context continue
correct corrected correctly correlation could couldn count create created credential credentials crit critical cross
cryptographic csrf current currently customer d data date dates day days deactivated declined decode decoded
decoding decrypt default defined delete deleted denied deny deprecated description deserialize detail details
determine developer did didn difference different digit digital digits disabled disallow disallowed disconnect do
document documentation documents does doesn domain don done down dpop duplicate during e.g each ec eddsa either else
email empty enable enabled encoded encoding encountered encrypt encrypted encryption end ended endpoint ends enough
ensure enter entered entity environment equal equals error errors es es256 establish established etc ever every
exactly example exceeded exceeds except exception exchange execute executed exist existing exists exp expect
expected expecting expense expiration expire expired expires expiry expression external fail failed fails failure
false far fetch few field fields file filter find firewall first fix for forbidden form format found from full
functionality future gateway general generated generic get given gives going gone got grant granted grants greater
group guid had hadn handle handler handshake happen happened has hash hasn have haven having header headers help
hence here hexadecimal high higher himself hmac hold holds host hour hours how however hs hs256 html http https i
i.e iat id identification identified identifier identity ids ietf if ignored illegal impersonation implementation
ims in inactive include included includes incoming incompatible inconsistent incorrect incorrectly index indirect
information infrastructure input inside instead instructions insufficient int integer integration integrations
interaction internal into invalid invalidated invoke io ip is isn iss issue issued issuer issues it its itself java
javascript json jsonwebtoken jti jwe jwk jwks jws jwt keep kept key keypair keys keystore kid know known label lang
large larger last later leading left length less let lets level license licensed lifetime like likely limit limited
line link list lived ll load loaded locally locked log logged login logout long longer look looks lookup lost low
lower mac made maintenance malformed manager many map mapping match matched matches matching max maximum may means
media member message method might milestone milliseconds minimum minute minutes misconfiguration misconfigured
mismatch missing mode model modified module moment more most mtls much multiple must mutual name names namespace nbf
near need needed neither network never new next nimbus no nobody nonce none nor not note notes nothing notification
now null number oauth oauth2 objcode object objects observed obsolete occurred of off offset often oidc ok old older
on once one only onto open openid operation operations option options or org organisation organization origin other
otherwise our out outside over own owner packet page pair parameter parameters parse parsed parser parsing part
parties party passed password path payload peer pem pending per period permission permissions permitted pkce pkcs1
pkcs8 place plain please point pointer policy port portfolio ports post pre prefix preflight premature present
presented preview previous principal printable private problem process processed processing production profile
program project projects proof property protected protocol provide provided provider provisioned proxy ps ps256
public published purpose push query quite quota range rate re reach reached read reading ready really realm reason
reasonable receive received recognised recognized redirect redirection reference refresh refused registered
registration rejected rejecting release reload remote remove removed renew renewed repeat repeats replay replayed
report request requested requester requesting requestor requests require required requires reset resolve resource
resources response restart restricted restrictions result resulted retired retry return returned returns reused
revoked right role roles root route routes routing rs rs256 rs384 rs512 rsa rsa256 rule running runtime s safe said
same saml sample sandbox save says schedule schema scope scopes script second seconds secret secrets section secure
security see seems seen segments select selected send sending sends sent serial serialization server servers service
servlet session sessionid sessions set setting settings several sha256 sha256withrsa shall shared short shorter
should shouldn show shown sign signature signatures signed signer signing similar simple simultaneous simultaneously
since single site size skew slash slow small so socket some sorry source specification specified spring ssl sso
stack stale start started starts state stateless static status still stop stopped store stored stream strict string
strings strong structure style sub subject submit submitted subscription success successful successfully such
sufficient sunset supplied support supported supports sure suspended switch syntax system t take taken takes task
tasks team teams technical tell template temporarily temporary tenant terminated termination test text than that the
their them themselves then there therefore these they thing think third this those though thread threads throttled
throttling through throughout thus time timeframe timeout times timesheet timestamp tls to today together token
tokens told tomorrow too tools total toward towards trace track traffic trailing transaction transfer transport
tried tries trigger true truncated trust trusted try turn twice two typ type types unable unauthenticated
unauthorised unauthorized unavailable undefined under underneath understand understood unexpected unexpectedly unit
units unknown unless unlike unreachable unrecognised unrecognized unregistered unresolved unsecured unsigned
unspecified unsuccessful unsupported until unverified up update updated updates upgrade upload upon upstream uri url
urn us usable usage use used useful user username users using util valid validate validated validating validation
validator validity value values variable ve verification verified verify version versions versus very via view wait
waiting want warning was wasn way we weak web webtoken well went were weren what when whenever where wherever
whether which while who whose why will window with within without won work workflow workfront would wouldn write
wrong wrote x509 x5c x5t xhr xml yes yesterday yet you your zero zone`)
	known := make(map[string]struct{}, len(words)+600)
	for _, w := range words {
		known[w] = struct{}{}
	}
	for _, n := range []int{0, 1, 2, 3, 4, 5, 10, 15, 30, 60, 300, 600, 3600} {
		known[strconv.Itoa(n)] = struct{}{}
	}
	for status := 100; status <= 599; status++ { // of HTTP
		known[strconv.Itoa(status)] = struct{}{}
	}
	for version := 1; version <= maxKnownVersion; version++ {
		known["v"+strconv.Itoa(version)] = struct{}{}
	}
	return known
}()

// maxKnownVersion is the newest version of Workfront's API that is shown: there are two a year.
const maxKnownVersion = 40

func isKnown(word string) bool {
	_, known := vocabulary[strings.ToLower(word)]
	return known
}
