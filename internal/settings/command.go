package settings

import (
	"regexp"
	"strings"
)

// Mount is the path of the mount that a request came in by, such as "workfront/". Hints print commands for it.
type Mount string

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// Path returns the path of something below the mount as a shell has to be given it: quoted if need be, because the
// path of a mount may hold blanks.
func (m Mount) Path(path string) string {
	whole := string(m) + path
	if plainWord.MatchString(whole) {
		return whole
	}
	return "'" + strings.ReplaceAll(whole, "'", `'\''`) + "'"
}

// Command returns a command of Vault's command line in backquotes, such as `vault write -f
// workfront/keys/k/generate`.
func (m Mount) Command(verb, path string, args ...string) string {
	return "`" + strings.Join(append([]string{"vault", verb, m.Path(path)}, args...), " ") + "`"
}
