package workfront

import "time"

// endOfSupport is the month in which the release comes out that ends the support of a version of Workfront's API:
// release 26.10 is that of October 2026. Only what Adobe states is in it: "API versioning and support schedule"
// (api-version-support-schedule, as of 2026-08) lists v16 to v22, and names release 26.10 for v17 and 29.4 for
// v22. The versions between are supported for three years each, from dates that are not known here.
var endOfSupport = map[string]time.Time{
	"v17.0": time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC),
	"v22.0": time.Date(2029, time.April, 1, 0, 0, 0, 0, time.UTC),
}

// SupportEnds returns the first day of the month in which Adobe ends the support of a version of the API, such as
// v22.0. known is false where Adobe's date is not known.
func SupportEnds(apiVersion string) (month time.Time, known bool) {
	month, known = endOfSupport[apiVersion]
	return month, known
}
