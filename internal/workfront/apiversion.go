package workfront

import (
	"strconv"
	"strings"
	"time"
)

// endOfSupport is the release that ends the support of a version of Workfront's API, by the major number of the version:
// Adobe's "API versioning and support schedule" (api-version-support-schedule, as of 2026-08). Adobe says that its dates
// are subject to change.
var endOfSupport = map[int]release{
	16: {2026, time.April}, 17: {2026, time.October}, 18: {2027, time.April}, 19: {2027, time.October},
	20: {2028, time.April}, 21: {2028, time.October}, 22: {2029, time.April},
}

// oldestListed is the oldest version in that schedule. Older ones are no longer in it, because their support has ended.
const oldestListed = 16

// release is a release of Workfront. Its number is its month: 26.10 comes out in October 2026.
type release struct {
	year  int
	month time.Month
}

// SupportEnds returns the first day of the month in which Adobe ends the support of a version of the API, such as
// v22.0; for a version whose support ended before those in Adobe's schedule, the zero time. known is false where Adobe
// has stated no date.
func SupportEnds(apiVersion string) (month time.Time, known bool) {
	text, _, _ := strings.Cut(strings.TrimPrefix(apiVersion, "v"), ".")
	major, err := strconv.Atoi(text)
	if err != nil {
		return time.Time{}, false
	}
	if major < oldestListed {
		return time.Time{}, true
	}
	r, known := endOfSupport[major]
	if !known {
		return time.Time{}, false
	}
	return time.Date(r.year, r.month, 1, 0, 0, 0, 0, time.UTC), true
}
