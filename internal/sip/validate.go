package sip

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/sip/stack"
)

// Bounds of a message, beyond its size.
const (
	maxHeaders = 256
	maxVias    = 70
	maxToken   = 512 // bytes of Call-ID, tags and branch
	maxTarget  = 512 // bytes of a Request-URI
)

// refusal is a response to a request that goes no further.
type refusal struct {
	status  int
	headers []stack.Header
}

// single are the headers that may stand in a message once (RFC 3261 §7.3.1),
// each with a bit of its own.
var single = map[string]uint8{
	"From": 1, "To": 2, "Call-ID": 4, "CSeq": 8, "Content-Length": 16, "Content-Type": 32, "Max-Forwards": 64,
}

// allowed is the Allow header: the methods that are carried out.
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER"

// known are the methods that exist: not carried out, they get 405, all others 501.
var known = map[string]bool{
	"INVITE": true, "ACK": true, "CANCEL": true, "BYE": true, "OPTIONS": true, "REGISTER": true,
	"SUBSCRIBE": true, "NOTIFY": true, "REFER": true, "INFO": true, "MESSAGE": true,
	"PRACK": true, "UPDATE": true, "PUBLISH": true,
}

// validate checks what the parser lets through (RFC 3261 §8.2, §16.3; the cases
// of RFC 4475). The request is complete and clean. Nil: it may go on.
func validate(req *sip.Request) *refusal {
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return &refusal{status: 505}
	}
	if !inBounds(req) || !strings.EqualFold(string(req.Method), string(req.CSeq().MethodName)) {
		return &refusal{status: 400}
	}
	if r := validateTarget(&req.Recipient); r != nil {
		return r
	}
	if m := req.MaxForwards(); m != nil {
		switch {
		case m.Val() > 255: // §20.22
			return &refusal{status: 400}
		case m.Val() == 0 && req.IsInvite(): // others end here anyway
			return &refusal{status: 483}
		}
	}
	if r := validateRequire(req); r != nil {
		return r
	}
	return validateBody(req)
}

func inBounds(req *sip.Request) bool {
	seen, vias := uint8(0), 0
	if len(req.Headers()) > maxHeaders {
		return false
	}
	for _, h := range req.Headers() {
		name := h.Name()
		if name == "Via" {
			vias++
		}
		bit := single[name]
		if seen&bit != 0 {
			return false
		}
		seen |= bit
	}
	return vias <= maxVias &&
		len(req.CallID().Value()) <= maxToken &&
		len(tagOf(req.From().Params)) <= maxToken && len(tagOf(req.To().Params)) <= maxToken &&
		len(stack.Param(req.Via().Params, "branch")) <= maxToken
}

// validateTarget checks the Request-URI (§8.2.2.1, §19.1.1).
func validateTarget(uri *sip.Uri) *refusal {
	switch uri.Scheme {
	case "sip", "sips":
		if uri.Host == "" || uri.Headers != nil || len(uri.User) > maxTarget || len(uri.Host) > maxTarget {
			return &refusal{status: 400}
		}
	case "tel":
	default:
		return &refusal{status: 416}
	}
	return nil
}

// validateRequire refuses every extension, since none is carried out (§8.2.2.3);
// 100rel too, until PRACK is.
func validateRequire(req *sip.Request) *refusal {
	if req.IsCancel() {
		return nil
	}
	var tags []string
	for _, h := range append(req.GetHeaders("Require"), req.GetHeaders("Proxy-Require")...) {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); isToken(tag) && len(tags) < 20 {
				tags = append(tags, tag)
			}
		}
	}
	if len(tags) == 0 {
		return nil
	}
	return &refusal{420, []stack.Header{{Name: "Unsupported", Value: strings.Join(tags, ", ")}}}
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("-.!%*_+`'~", c) >= 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// validateBody takes session descriptions only, as they are (§8.2.3).
func validateBody(req *sip.Request) *refusal {
	if len(req.Body()) == 0 || !req.IsInvite() {
		return nil
	}
	kind := ""
	if t := req.ContentType(); t != nil {
		kind, _, _ = strings.Cut(t.Value(), ";")
	}
	encoding := headerText(req, "Content-Encoding") + headerText(req, "e")
	if !strings.EqualFold(strings.TrimSpace(kind), "application/sdp") || encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &refusal{415, []stack.Header{{Name: "Accept", Value: "application/sdp"}, {Name: "Accept-Encoding", Value: "identity"}}}
	}
	return nil
}
