package e2e

import (
	"testing"
	"time"
)

// A phone of somebody else's making registers by itself, with MD5 because it knows
// nothing better, and is then rung where it registered from.
func TestSIPpRegisters(t *testing.T) {
	t.Parallel()
	w, ada := newDesk(t)
	w.digest = "md5"
	w.serve()
	w.play("phone_register", ada.addr, "-key", "user", "ada", "-key", "domain", w.sip.Addr().String(),
		"-au", "ada", "-ap", ada.password).done()
	adas := w.play("phone_answer", ada.addr, "-d", "100")
	w.call("carrier_talk", caller, mainLine, 200*time.Millisecond).done()
	adas.done()
	expect(t, "ada talked", adas.talked(), true)
}

// A wrong password and an unknown user get the same answer, and no binding.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	w, ada := newDesk(t)
	w.serve()
	tests := []struct {
		name string
		who  user
	}{
		{"wrong", user{w: w, name: "ada", password: "not-the-password-at-all", addr: ada.addr}},
		{"unknown", user{w: w, name: "eve", password: "not-the-password-at-all", addr: ada.addr}},
	}
	for _, tt := range tests {
		c := w.wire(tt.name, freeAddr(t))
		if got := c.tryRegister(&tt.who); got != 401 && got != 403 {
			t.Errorf("%s: %d, want 401 or 403", tt.name, got)
		}
	}
	call := w.call("carrier_refused", caller, mainLine, 0)
	call.done()
	if got := call.final().status; got != 480 {
		t.Errorf("final answer %d, want 480: nobody registered", got)
	}
}
