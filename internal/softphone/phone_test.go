package softphone

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/media"
	"github.com/ringpath/ringpath/internal/phone"
)

// inbox collects a phone's events.
type inbox chan Event

func newInbox() inbox { return make(inbox, 100) }

func (in inbox) put(e Event) { in <- e }

// want waits for the next event of this kind; others before it are passed over.
func (in inbox) want(t *testing.T, kind EventKind) Event {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		select {
		case e := <-in:
			if e.Kind == kind {
				return e
			}
		case <-limit:
			t.Fatalf("no event %q came", kind)
		}
	}
}

// run starts a phone and ends it with the test.
func run(t *testing.T, o Options) (*Phone, inbox) {
	t.Helper()
	in := newInbox()
	o.OnEvent = in.put
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p, in
}

// TestCall: both sides hear each other's tone, over either transport, whoever
// hangs up.
func TestCall(t *testing.T) {
	tests := []struct {
		transport   string
		hangUpAfter time.Duration // of the phone
		hold        time.Duration // of the caller
		end, far    End
	}{
		{transport: "udp", hold: 1200 * time.Millisecond, end: HungUpHere, far: HungUpThere},
		{transport: "tcp", hold: 1200 * time.Millisecond, end: HungUpHere, far: HungUpThere},
		{transport: "udp", hold: -1, hangUpAfter: 1200 * time.Millisecond, end: HungUpThere, far: HungUpHere},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %s", test.transport, test.end), func(t *testing.T) {
			t.Parallel()
			p, in := run(t, Options{Transport: test.transport, Behaviour: Behaviour{
				AnswerAfter: 50 * time.Millisecond, HangUpAfter: test.hangUpAfter, Tone: 620,
			}})
			got, err := Call(t.Context(), CallOptions{
				From: "+14155550123", Name: "Ada Lovelace", To: "+33123456789",
				Server: p.Addr().String(), Transport: test.transport, Tone: 350, Hold: test.hold,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != 200 || got.End != test.end {
				t.Errorf("got %d and %s, want 200 and %s", got.Status, got.End, test.end)
			}
			if got.Setup < 50*time.Millisecond || got.PDD == 0 || got.PDD > got.Setup {
				t.Errorf("setup %s, PDD %s: want at least 50ms, and no more than that", got.Setup, got.PDD)
			}
			if len(got.Heard) == 0 || !Same(got.Heard[0], 620) {
				t.Errorf("the caller heard %v, want 620", got.Heard)
			}
			ring := in.want(t, Ringing)
			if ring.From != "+14155550123" || ring.Name != "Ada Lovelace" || ring.To != "+33123456789" {
				t.Errorf("rings: from %q, name %q, to %q", ring.From, ring.Name, ring.To)
			}
			if ring.Call != got.CallID {
				t.Errorf("the call is %q there and %q here", ring.Call, got.CallID)
			}
			in.want(t, Answered)
			if e := in.want(t, Heard); !Same(e.Tone, 350) {
				t.Errorf("the phone heard %.0f, want 350", e.Tone)
			}
			if e := in.want(t, Ended); e.End != test.far {
				t.Errorf("ended there: got %s, want %s", e.End, test.far)
			}
		})
	}
}

func TestReject(t *testing.T) {
	for _, status := range []int{302, 486, 500, 603} {
		p, in := run(t, Options{Behaviour: Behaviour{Reject: status}})
		got, err := Call(t.Context(), CallOptions{To: "x", Server: p.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		if got.Status != status || got.End != Failed {
			t.Errorf("got %d and %s, want %d and %s", got.Status, got.End, status, Failed)
		}
		if e := in.want(t, Ended); e.End != Rejected || e.Status != status {
			t.Errorf("ended there: got %s %d, want %s %d", e.End, e.Status, Rejected, status)
		}
	}
}

func TestCancel(t *testing.T) {
	p, in := run(t, Options{Behaviour: Behaviour{AnswerAfter: -1}})
	got, err := Call(t.Context(), CallOptions{To: "x", Server: p.Addr().String(), CancelAfter: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != 487 || got.End != Cancelled {
		t.Errorf("got %d and %s, want 487 and %s", got.Status, got.End, Cancelled)
	}
	if e := in.want(t, Ended); e.End != Cancelled {
		t.Errorf("ended there: got %s, want %s", e.End, Cancelled)
	}

	// a context that is done gives up too
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		in.want(t, Ringing)
		cancel()
	}()
	got, err = Call(ctx, CallOptions{To: "x", Server: p.Addr().String()})
	if err != nil || got.End != Cancelled {
		t.Errorf("got %s %v, want %s", got.End, err, Cancelled)
	}
}

func TestCancelReason(t *testing.T) {
	tests := []struct {
		reason string
		want   End
	}{
		{"", Cancelled},
		{`SIP;cause=200;text="Call completed elsewhere"`, Elsewhere},
		{`SIP ; cause=200`, Elsewhere},
		{`Q.850;cause=19`, Cancelled},
		{`SIP;cause=2000`, Cancelled},
	}
	for _, test := range tests {
		req := sip.NewRequest(sip.CANCEL, sip.Uri{})
		if test.reason != "" {
			req.AppendHeader(sip.NewHeader("Reason", test.reason))
		}
		if got := cancelReason(req); got != test.want {
			t.Errorf("%q: got %s, want %s", test.reason, got, test.want)
		}
	}
}

// TestBusy: a second call to a phone with one line.
func TestBusy(t *testing.T) {
	p, in := run(t, Options{Behaviour: Behaviour{AnswerAfter: -1}})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan CallResult, 1)
	go func() {
		r, _ := Call(ctx, CallOptions{To: "x", Server: p.Addr().String()})
		first <- r
	}()
	in.want(t, Ringing)
	got, err := Call(t.Context(), CallOptions{To: "x", Server: p.Addr().String()})
	if err != nil || got.Status != 486 {
		t.Errorf("got %d %v, want 486", got.Status, err)
	}
	cancel()
	if r := <-first; r.Status != 487 {
		t.Errorf("the first call: got %d, want 487", r.Status)
	}
}

// TestHold: a re-INVITE that holds, and one that resumes.
func TestHold(t *testing.T) {
	p, in := run(t, Options{})
	caller, callerIn := run(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan CallResult, 1)
	go func() {
		r, _ := caller.Call(ctx, CallOptions{To: "x", Server: p.Addr().String(), Hold: -1})
		result <- r
	}()
	in.want(t, Answered)
	callerIn.want(t, Answered)
	caller.mu.Lock()
	var d *dialog
	for _, one := range caller.dialogs {
		d = one
	}
	caller.mu.Unlock()
	for _, step := range []struct{ offer, answer string }{
		{"sendonly", "recvonly"}, {"inactive", "inactive"}, {"sendrecv", "sendrecv"},
	} {
		answer := reinvite(t, d, step.offer)
		if got := answer.Direction(); got != step.answer {
			t.Errorf("%s was answered with %s, want %s", step.offer, got, step.answer)
		}
	}
	in.want(t, Held)
	in.want(t, Resumed)
	cancel()
	if r := <-result; r.End != HungUpHere {
		t.Errorf("ended: got %s, want %s", r.End, HungUpHere)
	}
}

func reinvite(t *testing.T, d *dialog, direction string) *media.Description {
	t.Helper()
	req := d.request(sip.INVITE)
	req.AppendHeader(d.phone.stack.contact(""))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(d.voice.describe("0", direction))
	res, err := d.phone.do(t.Context(), req)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("re-INVITE: %v %v", res, err)
	}
	if err := d.phone.stack.client.WriteRequest(d.request(sip.ACK)); err != nil {
		t.Fatal(err)
	}
	answer, err := media.Parse(res.Body())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestNoCodec: an offer without G.711.
func TestNoCodec(t *testing.T) {
	d, err := media.Parse([]byte("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 9 96\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := openVoice(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	if _, err := v.answer(d); err != errNoCodec {
		t.Errorf("got %v, want %v", err, errNoCodec)
	}
}

func TestNobodyThere(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	closed.Close()
	for transport, server := range map[string]string{"tcp": closed.Addr().String(), "udp": silent.LocalAddr().String()} {
		want := "nobody answers at " + server
		t.Run(transport+" call", func(t *testing.T) {
			t.Parallel()
			_, err := Call(t.Context(), CallOptions{To: "x", Server: server, Transport: transport})
			wantError(t, err, phone.Unreachable, want)
		})
		t.Run(transport+" registration", func(t *testing.T) {
			t.Parallel()
			p, err := New(Options{Account: "ada@" + server, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, p.Run(t.Context()), phone.Unreachable, want)
		})
	}
}

func wantError(t *testing.T, err error, kind phone.Kind, text string) {
	t.Helper()
	if err == nil || phone.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (%s), want %q (%s)", err, phone.KindOf(err), text, kind)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		options Options
		want    string
	}{
		{Options{Account: "ada"}, `"ada" is not of the form user@host`},
		{Options{Account: "ada\r\nx@host"}, "is not of the form user@host"},
		{Options{Account: "@host"}, "is not of the form user@host"},
		{Options{Transport: "tls"}, `"tls" is not a transport`},
		{Options{Server: "127.0.0.1:1:2"}, "is not a host:port"},
		{Options{Behaviour: Behaviour{Reject: 200}}, "200 is not a status to refuse with"},
	}
	for _, test := range tests {
		_, err := New(test.options)
		wantError(t, err, phone.Invalid, test.want)
	}
}

func TestCallOptions(t *testing.T) {
	tests := []struct {
		options CallOptions
		want    string
	}{
		{CallOptions{To: "x"}, "needs a server and whom to call"},
		{CallOptions{Server: "127.0.0.1"}, "needs a server and whom to call"},
		{CallOptions{To: "x>\r\nVia: y", Server: "127.0.0.1"}, "cannot be part of a SIP address"},
		{CallOptions{To: "x@y", Server: "127.0.0.1"}, "cannot be part of a SIP address"},
		{CallOptions{To: "x", From: "a;b", Server: "127.0.0.1"}, "cannot be part of a SIP address"},
		{CallOptions{To: "x", Name: `Bob" <sip:c`, Server: "127.0.0.1"}, "cannot be part of a SIP address"},
	}
	for _, test := range tests {
		_, err := Call(t.Context(), test.options)
		wantError(t, err, phone.Invalid, test.want)
	}
}

// TestNothingIsLeft: a phone that closes in the middle of a call hangs up, and
// its goroutines end.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	in := newInbox()
	p, err := New(Options{OnEvent: in.put})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	go func() {
		in.want(t, Answered)
		cancel()
	}()
	got, err := Call(context.Background(), CallOptions{To: "x", Server: p.Addr().String(), Hold: -1})
	if err != nil || got.End != HungUpThere {
		t.Errorf("got %s %v, want %s", got.End, err, HungUpThere)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; <-tick.C {
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
	if _, err := net.ListenPacket("udp", p.Addr().String()); err != nil {
		t.Errorf("the port is not free: %v", err)
	}
}

func TestEventString(t *testing.T) {
	got := []string{
		Event{Phone: "ada", Kind: Ringing, From: "+1", Name: "Bob"}.String(),
		Event{Phone: "ada", Kind: Heard, Tone: 440}.String(),
		Event{Phone: "ada", Kind: Ended, End: Elsewhere}.String(),
	}
	want := []string{"ada rings: Bob (+1) calls", "ada hears 440 Hz", "ada: the call is over: another phone answered"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
