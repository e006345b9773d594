package sip

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// dialog is what it takes to send a request to the other end of a leg (RFC 3261
// §12). It holds text, not messages.
type dialog struct {
	callID              string
	localTag, remoteTag string
	local, remote       string   // From and To of our requests, without tags
	target              string   // remote target URI
	routes              []string // route set, in the order of our requests
	cseq                uint32   // last one we used
	remoteCSeq          uint64   // the least that they may use next
	flow                stack.Flow
}

// nameAddr writes a URI for From and To: the display name is of no use within
// the dialog.
func nameAddr(uri *sip.Uri) string { return "<" + uri.String() + ">" }

func withTag(value, tag string) string {
	if tag == "" {
		return value
	}
	return value + ";tag=" + tag
}

// request begins a request within the dialog (§12.2.1.1). ACK and CANCEL have
// the number of their INVITE, which the caller sets.
func (s *Server) request(d *dialog, method string) *stack.Request {
	if method != "ACK" {
		d.cseq++
	}
	r := &stack.Request{
		Method: method, URI: d.target, Transport: d.flow.Transport, SentBy: s.sentBy(d.flow), Routes: d.routes,
		From: withTag(d.local, d.localTag), To: withTag(d.remote, d.remoteTag), CallID: d.callID, CSeq: d.cseq,
	}
	if len(d.routes) > 0 && !strings.Contains(strings.ToLower(d.routes[0]), ";lr") { // a strict router
		r.URI = strings.Trim(d.routes[0], "<>")
		r.Routes = append(d.routes[1:len(d.routes):len(d.routes)], "<"+d.target+">")
	}
	return r
}

// sentBy is our host and port toward a peer.
func (s *Server) sentBy(f stack.Flow) string {
	port := f.Local.Port()
	if f.Reliable() && s.tcpPort != 0 {
		port = s.tcpPort
	}
	return netip.AddrPortFrom(s.address.toward(f), port).String()
}

// contact is the Contact header of our messages.
func (s *Server) contact(f stack.Flow) stack.Header {
	uri := "sip:" + s.sentBy(f)
	if f.Reliable() {
		uri += ";transport=tcp"
	}
	return stack.Header{Name: "Contact", Value: "<" + uri + ">"}
}

// remoteTarget reads the Contact of a message; false: there is no usable one.
func remoteTarget(m interface{ GetHeaders(string) []sip.Header }) (string, bool) {
	hs := m.GetHeaders("Contact")
	if len(hs) != 1 {
		return "", false
	}
	c, ok := hs[0].(*sip.ContactHeader)
	if !ok || c.Address.Wildcard || c.Address.Host == "" || c.Address.Scheme != "sip" && c.Address.Scheme != "sips" {
		return "", false
	}
	uri := c.Address // a copy
	uri.Headers = nil
	text := uri.String()
	return text, isURIText(text)
}

// maxRoutesInSet bounds a route set.
const maxRoutesInSet = 20

// routeSet reads Record-Route: in its order for who was called, reversed for who
// called (§12.1).
func routeSet(m interface{ GetHeaders(string) []sip.Header }, reversed bool) []string {
	var set []string
	for _, h := range m.GetHeaders("Record-Route") {
		r, ok := h.(*sip.RecordRouteHeader)
		if !ok || len(set) == maxRoutesInSet {
			continue
		}
		if text := r.Address.String(); isURIText(text) {
			set = append(set, "<"+text+">")
		}
	}
	if reversed {
		for i, j := 0, len(set)-1; i < j; i, j = i+1, j-1 {
			set[i], set[j] = set[j], set[i]
		}
	}
	return set
}

// nextHop sends requests of a dialog with a trunk to where they are meant to go.
// Phones are behind NAT: theirs go where the dialog came from.
func (s *Server) nextHop(d *dialog) {
	if to, ok := hop(d); ok && !d.flow.Reliable() {
		d.flow = d.flow.To(to)
	}
}

// hop is the first route of a dialog, or its remote target (§12.2.1.1), as far as
// that is an address that can be meant.
func hop(d *dialog) (netip.AddrPort, bool) {
	uri := d.target
	if len(d.routes) > 0 {
		uri = strings.Trim(d.routes[0], "<>")
	}
	var u sip.Uri
	if err := sip.ParseUri(uri, &u); err != nil {
		return netip.AddrPort{}, false
	}
	ip, err := netip.ParseAddr(strings.Trim(u.Host, "[]"))
	if err != nil {
		return netip.AddrPort{}, false
	}
	from := d.flow.Remote.Addr()
	if ip.IsUnspecified() || ip.IsMulticast() || ip.Is4() != from.Is4() || ip.IsPrivate() && !from.IsPrivate() || ip.IsLoopback() && !from.IsLoopback() {
		return netip.AddrPort{}, false
	}
	port := u.Port
	if port == 0 {
		port = 5060
	}
	return netip.AddrPortFrom(ip, uint16(port)), true
}

// stored is the dialog as a record keeps it.
func (d *dialog) stored(call phone.CallID, leg phone.LegID) record.Dialog {
	return record.Dialog{
		Leg: leg, Call: call, CallID: d.callID,
		LocalURI: withTag(d.local, d.localTag), RemoteURI: withTag(d.remote, d.remoteTag),
		Target: d.target, Routes: d.routes, CSeq: d.cseq,
		Transport: d.flow.Transport, Addr: d.flow.Remote.String(),
	}
}

// crashGap is how many requests a dialog may have seen after it was stored.
const crashGap = 1000

// CloseDialog sends BYE on a dialog of before a crash, and waits for the answer:
// any final one means that the other party knows.
func (s *Server) CloseDialog(ctx context.Context, r record.Dialog) error {
	remote, err := netip.ParseAddrPort(r.Addr)
	if err != nil {
		return &phone.Error{Kind: phone.Invalid, Text: "the stored dialog has no usable address", Err: err}
	}
	flow, err := s.stack.Connect(ctx, r.Transport, remote)
	if err != nil {
		return unreachable(r, err)
	}
	d := dialog{callID: r.CallID, target: r.Target, routes: r.Routes, cseq: r.CSeq + crashGap, local: r.LocalURI, remote: r.RemoteURI, flow: flow}
	s.guard.hold(remote.Addr())
	defer s.guard.release(remote.Addr())
	req := s.request(&d, "BYE")
	req.Headers = []stack.Header{{Name: "Reason", Value: reason(phone.CauseInterrupted)}}
	answer := make(chan error, 1)
	if _, err := s.stack.Send(flow, req, int64(r.Call), func(res *sip.Response, err error) {
		if err != nil || res.StatusCode >= 200 {
			answer <- err
		}
	}); err != nil {
		return unreachable(r, err)
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return unreachable(r, err)
	}
	return nil
}

func unreachable(r record.Dialog, err error) error {
	return &phone.Error{Kind: phone.Unreachable, Text: "BYE of leg " + string(r.Leg) + " not acknowledged", Err: err}
}

// parseHost reads a trunk's host: "host", "host:port" or an address.
func parseHost(text string) (host string, port uint16) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().String(), ap.Port()
	}
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return strings.Trim(text, "[]"), 5060
	}
	if h, p, ok := strings.Cut(text, ":"); ok {
		if n, err := strconv.ParseUint(p, 10, 16); err == nil {
			return h, uint16(n)
		}
	}
	return text, 5060
}
