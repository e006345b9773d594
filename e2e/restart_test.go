package e2e

import (
	"syscall"
	"testing"
	"time"
)

// kill -9 in the middle of a call: after the restart both parties get a BYE, and
// the record is closed as interrupted.
func TestKilledAndRestarted(t *testing.T) {
	t.Parallel()
	w, ada := newDesk(t)
	w.serve()
	adas := ada.phone("phone_answer", 0)
	call := w.call("carrier_wait", caller, mainLine, 0)
	w.until("talking", 10*time.Second, func() bool {
		_, ok := call.find(true, "ACK", 0)
		return ok && adas.talked()
	})
	time.Sleep(300 * time.Millisecond) // the opening row is promised within 100 ms, 200 ms may be lost
	w.kill()
	w.start()
	call.done()
	adas.done()
	a := w.newest(caller)
	if a.Cause != "interrupted" || a.User != ada.id {
		t.Errorf("record: cause %s, user %d, want interrupted, %d", a.Cause, a.User, ada.id)
	}
	w.wantNothingLeft()
}

// SIGTERM drains: the running call goes on and ends as it likes, a new one is
// sent elsewhere, and then the program is gone, without a fault.
func TestDrain(t *testing.T) {
	t.Parallel()
	w, ada := newDesk(t)
	w.serve()
	adas := ada.phone("phone_answer", 0)
	call := w.call("carrier_talk", caller, mainLine, 5*time.Second)
	w.until("talking", 10*time.Second, func() bool { return adas.talked() })
	w.terminate()

	w.until("draining", 2*time.Second, func() bool { s, _ := w.get("/readyz"); return s != 200 })
	refused := w.callFrom(w.carrier2, "carrier_refused", "+14155550124", mainLine, 0)
	refused.done()
	got := refused.final()
	if got.status != 503 || got.header("Retry-After") == "" {
		t.Errorf("a new call got %d, Retry-After %q, want 503 with one", got.status, got.header("Retry-After"))
	}
	expect(t, "the running call is still up", call.over(), false)
	call.done()
	adas.done()
	select {
	case <-w.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the server did not end after its last call")
	}
	if status := w.process.ProcessState.Sys().(syscall.WaitStatus); !status.Exited() || status.ExitStatus() != 0 {
		t.Errorf("the server ended with %s, want exit 0", w.process.ProcessState)
	}
}
