package manifest

import "github.com/anyfaas/anyfaas/manifest/diag"

// Names that a file made up are compared for the first mistakes only: a file of
// a hundred thousand mistakes shall not take minutes.
const (
	maxSuggestions = 200
	maxCandidates  = 2000
)

// nearestOf is diag.Nearest among names that a file declares.
func nearestOf(l *diag.List, s string, candidates []string) string {
	if len(*l) > maxSuggestions || len(candidates) > maxCandidates {
		return ""
	}
	return diag.Nearest(s, candidates)
}
