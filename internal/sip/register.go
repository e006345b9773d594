package sip

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// register carries out a REGISTER (RFC 3261 §10.3). It is always a phone's, also
// from a trunk's address.
func (s *Server) register(in *stack.Incoming) {
	account, ok := s.authenticate(in)
	if !ok {
		return
	}
	// From here on in a transaction: a repeated request must not be judged again,
	// its nonce is used up.
	tx, head := in.Begin(0), in.Head()
	respond := func(r stack.Response) {
		r.Tag = s.address.tag(in)
		s.opts.Count("REGISTER", r.Status)
		_ = tx.Respond(r.Status, head.Wire(r))
	}
	aor := in.Request.To().Address
	user, _ := userOf(&aor)
	if !strings.EqualFold(user, account.Username) || !s.address.isOurs(aor.Host, in.Flow) {
		respond(stack.Response{Status: 403})
		return
	}
	q, err := readRegister(in.Request)
	if err != nil {
		respond(stack.Response{Status: 400})
		return
	}
	q.User, q.Username = account.User, account.Username
	q.Source, q.Local, q.Transport = in.Flow.Remote, in.Flow.Local, in.Flow.Transport
	contacts, err := s.opts.Registrar.Register(q)
	respond(registerResponse(contacts, err))
}

func registerResponse(contacts []phone.Contact, err error) stack.Response {
	switch {
	case errors.Is(err, registrar.ErrBrief):
		return stack.Response{Status: 423, Headers: []stack.Header{{Name: "Min-Expires", Value: seconds(registrar.MinExpires)}}}
	case errors.Is(err, registrar.ErrOrder):
		return stack.Response{Status: 500}
	case errors.Is(err, registrar.ErrContacts):
		return stack.Response{Status: 403}
	case err != nil:
		return stack.Response{Status: 400}
	}
	r := stack.Response{Status: 200}
	for _, c := range contacts {
		left := time.Until(c.ExpiresAt).Round(time.Second)
		r.Headers = append(r.Headers, stack.Header{Name: "Contact", Value: "<" + c.URI + ">;expires=" + seconds(left)})
	}
	return r
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

var errContact = errors.New("bad contact or expiry")

// readRegister reads what a REGISTER asks for.
func readRegister(req *sip.Request) (registrar.Request, error) {
	q := registrar.Request{CallID: req.CallID().Value(), CSeq: req.CSeq().SeqNo, Expires: registrar.Unset}
	if h := req.GetHeaders("Expires"); len(h) > 0 {
		q.Expires = expiry(h[0].Value())
		if len(h) > 1 {
			return q, errContact
		}
	}
	for _, h := range req.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok {
			return q, errContact
		}
		if c.Address.Wildcard {
			q.Star = true
			continue
		}
		uri := c.Address.String()
		if c.Address.Scheme != "sip" || c.Address.Host == "" || c.Address.Headers != nil || !isURIText(uri) {
			return q, errContact
		}
		expires := registrar.Unset
		if v := stack.Param(c.Params, "expires"); v != "" {
			expires = expiry(v)
		}
		q.Contacts = append(q.Contacts, registrar.Contact{
			URI: uri, Expires: expires, Instance: strings.Trim(stack.Param(c.Params, "+sip.instance"), `"`),
		})
	}
	return q, nil
}

// expiry reads seconds; what is no number counts as not given (§20.19), and what
// is too large is cut by the registrar.
func expiry(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return registrar.Unset
	}
	return time.Duration(n) * time.Second
}

// isURIText says that a peer's URI can be written into a message of ours.
func isURIText(uri string) bool {
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>\"\\^`{|}", c) >= 0 {
			return false
		}
	}
	return len(uri) > len("sip:") && len(uri) <= 512
}
