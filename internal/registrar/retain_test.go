package registrar_test

import (
	"fmt"
	"testing"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/registrar"
)

func TestRetain(t *testing.T) {
	var seen changes
	r := registrar.New(registrar.Options{OnChange: seen.note})
	defer r.Close()
	desk, soft := request(1, "sip:a@1"), request(1, "sip:b@1", "sip:c@1")
	soft.Username = "soft"
	other := request(1, "sip:d@1")
	other.User, other.Username = 2, "bob"
	for _, q := range []registrar.Request{desk, soft, other} {
		if _, err := r.Register(q); err != nil {
			t.Fatal(err)
		}
	}
	seen = nil
	r.Retain(func(username string, _ phone.UserID) bool { return username != "soft" })
	if got := fmt.Sprint(seen); got != "[1:1]" {
		t.Errorf("changes %s, want user 1 to keep one contact", got)
	}
	if got := r.Contacts(1); len(got) != 1 || got[0].Username != "alice" || len(r.Contacts(2)) != 1 {
		t.Errorf("contacts left: %v, %v", got, r.Contacts(2))
	}
	seen = nil
	r.Retain(func(string, phone.UserID) bool { return true })
	if len(seen) != 0 || r.Count() != 2 {
		t.Errorf("nothing was refused, yet %v", seen)
	}
}
