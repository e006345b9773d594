package stack

import (
	"crypto/rand"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// Header is one header line of ours.
type Header struct{ Name, Value string }

// Request is a request of ours. It holds no text of a peer but what the caller
// put in, which must be free of control characters.
type Request struct {
	Method      string
	URI         string // Request-URI
	Transport   string // of the Via: "udp", "tcp"
	SentBy      string // of the Via: our host:port as the peer can reach it
	Branch      string // empty: a new one
	Routes      []string
	MaxForwards int    // 0: 70
	From, To    string // with their tags
	CallID      string
	CSeq        uint32
	Headers     []Header // all others, in order
	ContentType string   // of Body
	Body        []byte
}

// cookie begins every branch of RFC 3261 (§8.1.1.7).
const cookie = "z9hG4bK"

// NewTag makes a tag, branch part or Call-ID that nobody can guess: 128 bits.
func NewTag() string { return rand.Text() }

// Wire is the request as it is sent.
func (r *Request) Wire() []byte {
	if r.Branch == "" {
		r.Branch = cookie + NewTag()
	}
	b := make([]byte, 0, 512+len(r.Body))
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.URI...)
	b = append(b, " SIP/2.0\r\nVia: SIP/2.0/"...)
	b = append(b, strings.ToUpper(r.Transport)...)
	b = append(b, ' ')
	b = append(b, r.SentBy...)
	b = append(b, ";rport;branch="...)
	b = append(b, r.Branch...)
	b = append(b, "\r\n"...)
	for _, route := range r.Routes {
		b = line(b, "Route", route)
	}
	forwards := r.MaxForwards
	if forwards == 0 {
		forwards = 70
	}
	b = line(b, "Max-Forwards", strconv.Itoa(forwards))
	b = line(b, "From", r.From)
	b = line(b, "To", r.To)
	b = line(b, "Call-ID", r.CallID)
	b = line(b, "CSeq", strconv.FormatUint(uint64(r.CSeq), 10)+" "+r.Method)
	return tail(b, r.Headers, r.ContentType, r.Body)
}

// sibling is the request that belongs to an INVITE hop by hop: its CANCEL
// (§9.1) or the ACK of a refusal (§17.1.1.3), same branch and CSeq number.
func (r *Request) sibling(method, to string, extra ...Header) *Request {
	return &Request{
		Method: method, URI: r.URI, Transport: r.Transport, SentBy: r.SentBy, Branch: r.Branch,
		Routes: r.Routes, From: r.From, To: to, CallID: r.CallID, CSeq: r.CSeq, Headers: extra,
	}
}

// Head is what every response repeats of its request (§8.2.6.2): small, so that
// it can be kept for a call that rings for a long time.
type Head struct {
	vias, from, to, callID, cseq, recordRoutes string // vias and recordRoutes are whole lines
	tagged                                     bool   // To has its tag: a request within a dialog
}

// NewHead takes what a response needs from a request that came from source. What
// the request lacks, its (refusing) answer lacks too.
func NewHead(req *sip.Request, source netip.AddrPort) *Head {
	h := &Head{}
	if v := req.From(); v != nil {
		h.from = v.Value()
	}
	if v := req.To(); v != nil {
		h.to, h.tagged = v.Value(), Param(v.Params, "tag") != ""
	}
	if v := req.CallID(); v != nil {
		h.callID = v.Value()
	}
	if v := req.CSeq(); v != nil {
		h.cseq = v.Value()
	}
	var vias, routes strings.Builder
	for _, any := range req.Headers() {
		switch v := any.(type) {
		case *sip.ViaHeader:
			vias.WriteString("Via: ")
			vias.WriteString(via(v, vias.Len() == len("Via: "), source))
			vias.WriteString("\r\n")
		case *sip.RecordRouteHeader:
			routes.WriteString("Record-Route: ")
			routes.WriteString(v.Value())
			routes.WriteString("\r\n")
		}
	}
	h.vias, h.recordRoutes = vias.String(), routes.String()
	return h
}

// via is a Via line's value; the top one says where the request came from
// (§18.2.1, RFC 3581 §4).
func via(v *sip.ViaHeader, top bool, source netip.AddrPort) string {
	if !top {
		return v.Value()
	}
	v = v.Clone()
	_, rport := lookup(v.Params, "rport")
	if rport {
		set(&v.Params, "rport", strconv.Itoa(int(source.Port())))
	}
	if rport || v.Host != source.Addr().String() {
		set(&v.Params, "received", source.Addr().WithZone("").String())
	}
	return v.Value()
}

// Response is a response of ours.
type Response struct {
	Status      int
	Reason      string // empty: that of the RFC
	Tag         string // our To tag; not used within a dialog and for 100
	Headers     []Header
	ContentType string
	Body        []byte
}

// Wire is the response as it is sent.
func (h *Head) Wire(r Response) []byte {
	if r.Reason == "" {
		r.Reason = ReasonPhrase(r.Status)
	}
	b := make([]byte, 0, 512+len(r.Body))
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = append(b, r.Reason...)
	b = append(b, "\r\n"...)
	b = append(b, h.vias...)
	to := h.to
	if to != "" && !h.tagged && r.Tag != "" && r.Status != 100 {
		to += ";tag=" + r.Tag
	}
	for _, l := range [...]Header{{"From", h.from}, {"To", to}, {"Call-ID", h.callID}, {"CSeq", h.cseq}} {
		if l.Value != "" {
			b = line(b, l.Name, l.Value)
		}
	}
	if r.Status > 100 && r.Status < 300 {
		b = append(b, h.recordRoutes...)
	}
	return tail(b, r.Headers, r.ContentType, r.Body)
}

func tail(b []byte, headers []Header, contentType string, body []byte) []byte {
	for _, h := range headers {
		b = line(b, h.Name, h.Value)
	}
	if len(body) > 0 {
		b = line(b, "Content-Type", contentType)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

func line(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// Param reads a header or URI parameter without regard to case; empty when it is
// not there or has no value.
func Param(ps sip.HeaderParams, name string) string {
	v, _ := lookup(ps, name)
	return v
}

func lookup(ps sip.HeaderParams, name string) (string, bool) {
	for _, p := range ps {
		if strings.EqualFold(strings.TrimSpace(p.K), name) {
			return strings.TrimSpace(p.V), true
		}
	}
	return "", false
}

func set(ps *sip.HeaderParams, name, value string) {
	for i, p := range *ps {
		if strings.EqualFold(strings.TrimSpace(p.K), name) {
			(*ps)[i] = sip.HeaderKV{K: name, V: value}
			return
		}
	}
	*ps = append(*ps, sip.HeaderKV{K: name, V: value})
}

// Message is what requests and responses have in common.
type Message interface {
	Headers() []sip.Header
	Via() *sip.ViaHeader
	From() *sip.FromHeader
	To() *sip.ToHeader
	CallID() *sip.CallIDHeader
	CSeq() *sip.CSeqHeader
}

// Complete says that a message has the five headers that every one needs.
func Complete(m Message) bool {
	return m.Via() != nil && m.From() != nil && m.To() != nil && m.CSeq() != nil && m.CallID() != nil && m.CallID().Value() != ""
}

// Clean says that no header of a message holds a control character, so that it
// can be repeated in an answer.
func Clean(m Message) bool {
	for _, h := range m.Headers() {
		if hasControl(h.Name()) || hasControl(h.Value()) {
			return false
		}
	}
	return true
}

func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// ReasonPhrase is the text of a status (RFC 3261 §21); empty for unknown ones,
// so that no peer's text is passed on.
func ReasonPhrase(status int) string { return phrases[status] }

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress",
	200: "OK", 202: "Accepted",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout", 410: "Gone",
	413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type",
	416: "Unsupported URI Scheme", 420: "Bad Extension", 421: "Extension Required", 422: "Session Interval Too Small", 423: "Interval Too Brief",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected",
	483: "Too Many Hops", 484: "Address Incomplete", 485: "Ambiguous", 486: "Busy Here", 487: "Request Terminated",
	488: "Not Acceptable Here", 491: "Request Pending", 493: "Undecipherable",
	500: "Server Internal Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Server Time-out", 505: "Version Not Supported", 513: "Message Too Large",
	600: "Busy Everywhere", 603: "Decline", 604: "Does Not Exist Anywhere", 606: "Not Acceptable",
}
