package registrar

import (
	"slices"

	"github.com/ringpath/ringpath/internal/phone"
)

// Retain removes the bindings of phones that keep refuses: those that the
// directory no longer has, has given to somebody else, or has given another
// password.
func (r *Registrar) Retain(keep func(username string, user phone.UserID) bool) {
	r.change.Lock()
	defer r.change.Unlock()
	counts := map[phone.UserID]int{}
	r.mu.Lock()
	for username, p := range r.phones {
		if keep(username, p.user) {
			continue
		}
		counts[p.user] = 0
		for _, b := range slices.Clone(p.list) {
			r.remove(p, b)
		}
	}
	for user := range counts {
		counts[user] = r.count(user)
	}
	r.mu.Unlock()
	for user, n := range counts {
		r.onChange(user, n)
	}
}
