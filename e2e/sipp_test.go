package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sippLimit is how long one SIPp may run: it is told to stop by itself a little
// earlier, and killed when it does not.
const sippLimit = 40 * time.Second

// actor is one SIPp process that plays one scenario of testdata on one port.
type actor struct {
	t        *testing.T
	scenario string
	log      string // file of messages
	errors   string
	ear      *ear // where its SDP says that audio is heard
	ended    chan struct{}
	err      error // after ended
	kill     context.CancelFunc
}

// play starts a scenario from the address at toward Ringpath. args are SIPp's own.
func (w *world) play(scenario string, at netip.AddrPort, args ...string) *actor {
	w.t.Helper()
	dir := w.t.TempDir()
	xml, err := filepath.Abs(filepath.Join("testdata", scenario+".xml"))
	if err != nil {
		w.t.Fatal(err)
	}
	a := &actor{t: w.t, scenario: scenario, log: filepath.Join(dir, "messages"), errors: filepath.Join(dir, "errors"),
		ear: newEar(w.t, scenario), ended: make(chan struct{})}
	ctx, kill := context.WithTimeout(context.Background(), sippLimit+5*time.Second)
	a.kill = kill
	cmd := exec.CommandContext(ctx, "sipp", append([]string{w.sip.String(), "-sf", xml,
		"-i", at.Addr().String(), "-p", strconv.Itoa(int(at.Port())), "-m", "1", "-nostdin",
		"-key", "rtp", strconv.Itoa(a.ear.port()),
		"-timeout", fmt.Sprintf("%ds", int(sippLimit.Seconds())),
		"-trace_msg", "-message_file", a.log, "-trace_err", "-error_file", a.errors}, args...)...)
	cmd.Dir = dir
	var screen bytes.Buffer
	cmd.Stdout, cmd.Stderr = &screen, &screen
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		a.err = cmd.Wait()
		close(a.ended)
	}()
	w.t.Cleanup(func() {
		kill()
		<-a.ended
		if w.t.Failed() {
			w.t.Logf("%s said and heard:\n%s\n%s", a.scenario, a.ladder(), tail(a.errors, 1500))
		}
	})
	w.until(scenario+" listening", 5*time.Second, func() bool { return bound(at) || a.over() || len(a.messages()) > 0 })
	return a
}

// bound says that somebody has bound that UDP port. It reads the kernel's list:
// trying to bind the port would take it away from whom we wait for.
func bound(at netip.AddrPort) bool {
	list, err := os.ReadFile("/proc/net/udp")
	ip := at.Addr().As4()
	local := fmt.Sprintf(" %08X:%04X ", binary.NativeEndian.Uint32(ip[:]), at.Port())
	return err == nil && bytes.Contains(list, []byte(local))
}

func (a *actor) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// done waits for the scenario to end as written.
func (a *actor) done() {
	a.t.Helper()
	<-a.ended
	a.kill()
	if a.err != nil {
		a.t.Errorf("%s did not go as written: %v\n%s", a.scenario, a.err, a.ladder())
	}
}

// call is the carrier sending a call; -d is talk, or patience, as the scenario says.
func (w *world) call(scenario, caller, called string, d time.Duration) *actor {
	w.t.Helper()
	return w.callFrom(w.carrier, scenario, caller, called, d)
}

func (w *world) callFrom(at netip.AddrPort, scenario, caller, called string, d time.Duration) *actor {
	w.t.Helper()
	return w.play(scenario, at, "-s", called, "-key", "caller", caller, "-d", strconv.Itoa(int(d.Milliseconds())))
}

// phone registers the user's phone and lets it play a scenario.
func (u *user) phone(scenario string, d time.Duration) *actor {
	u.w.t.Helper()
	u.register()
	return u.w.play(scenario, u.addr, "-d", strconv.Itoa(int(d.Milliseconds())))
}

// message is one SIP message that an actor sent or received.
type message struct {
	at     time.Time
	sent   bool
	method string // of a request; of a response, the method in its CSeq
	status int    // 0: a request
	raw    string
}

func (m message) String() string {
	way := "<--"
	if m.sent {
		way = "-->"
	}
	what := m.method
	if m.status > 0 {
		what = fmt.Sprintf("%d (%s)", m.status, m.method)
	}
	return m.at.Format("15:04:05.000") + " " + way + " " + what
}

// messages reads what the actor sent and received so far, in order.
func (a *actor) messages() []message {
	b, err := os.ReadFile(a.log)
	if err != nil {
		return nil // nothing was said yet
	}
	var all []message
	for part := range strings.SplitSeq(string(b), "\n-----------------------------------------------") {
		if m, ok := parseLogged(part); ok {
			all = append(all, m)
		}
	}
	return all
}

// parseLogged reads one entry of SIPp's message log: a time, "UDP message sent (n
// bytes):", an empty line, the message.
func parseLogged(part string) (message, bool) {
	stamp, rest, ok := strings.Cut(part, "\n")
	if !ok {
		return message{}, false
	}
	head, raw, ok := strings.Cut(rest, "\n\n")
	if !ok {
		return message{}, false
	}
	at, err := time.ParseInLocation("2006-01-02 15:04:05.000000", strings.Trim(stamp, "- "), time.Local)
	if err != nil {
		return message{}, false
	}
	m := message{at: at, sent: strings.Contains(head, "message sent"), raw: raw}
	first, _, _ := strings.Cut(raw, "\r\n")
	if code, ok := strings.CutPrefix(first, "SIP/2.0 "); ok {
		m.status, _ = strconv.Atoi(code[:min(3, len(code))])
		_, m.method, _ = strings.Cut(m.header("CSeq"), " ")
	} else {
		m.method, _, _ = strings.Cut(first, " ")
	}
	return m, m.method != ""
}

// header is the value of the first header of that name.
func (m message) header(name string) string {
	head, _, _ := strings.Cut(m.raw, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (m message) body() string {
	_, b, _ := strings.Cut(m.raw, "\r\n\r\n")
	return b
}

func (a *actor) ladder() string {
	var b strings.Builder
	for _, m := range a.messages() {
		fmt.Fprintln(&b, " ", m)
	}
	return b.String()
}

// find returns the first message that was sent or received, of that method and
// status (0: the request itself).
func (a *actor) find(sent bool, method string, status int) (message, bool) {
	for _, m := range a.messages() {
		if m.sent == sent && m.method == method && m.status == status {
			return m, true
		}
	}
	return message{}, false
}

// rang says that the phone was offered a call.
func (a *actor) rang() bool { _, ok := a.find(false, "INVITE", 0); return ok }

// cancelled says that an offered call was taken back.
func (a *actor) cancelled() bool { _, ok := a.find(false, "CANCEL", 0); return ok }

// talked says that the phone answered and was told that it is connected.
func (a *actor) talked() bool {
	_, answered := a.find(true, "INVITE", 200)
	_, acked := a.find(false, "ACK", 0)
	return answered && acked
}

// final is the final status of the first INVITE that the actor sent; 0: none.
func (a *actor) final() message {
	for _, m := range a.messages() {
		if !m.sent && m.method == "INVITE" && m.status >= 200 {
			return m
		}
	}
	return message{}
}

// invitedAt is when the actor sent or received its first INVITE.
func (a *actor) invitedAt() time.Time {
	for _, m := range a.messages() {
		if m.method == "INVITE" && m.status == 0 {
			return m.at
		}
	}
	return time.Time{}
}

// expect compares what is true of an actor with what should be.
func expect(t *testing.T, what string, got, want bool) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
