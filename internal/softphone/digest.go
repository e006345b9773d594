package softphone

import (
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/ringpath/ringpath/internal/phone"
)

// errPassword: the server does not take our user name and password.
var errPassword = &phone.Error{Kind: phone.Denied, Text: "the server refused the password"}

// maxLogins is how often a request is sent with credentials: again only when the
// server says that its nonce was too old.
const maxLogins = 3

// login is who a request is from.
type login struct {
	user, password string
	tries          int
}

// authorize answers the challenge in res: the returned request is req with
// credentials and the next number. The strongest algorithm offered is used
// (RFC 8760 §2.4).
func (l *login) authorize(req *sip.Request, res *sip.Response) (*sip.Request, error) {
	name, answer := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		name, answer = "Proxy-Authenticate", "Proxy-Authorization"
	}
	chal := strongestOf(res.GetHeaders(name))
	if chal == nil {
		return nil, &phone.Error{Kind: phone.Invalid, Text: "the server asks for a login that this phone does not know"}
	}
	if l.tries == maxLogins || l.tries > 0 && !chal.Stale {
		return nil, errPassword
	}
	l.tries++
	cred, err := digest.Digest(chal, digest.Options{
		Method:   req.Method.String(),
		URI:      req.Recipient.String(),
		Username: l.user,
		Password: l.password,
		Count:    1,
	})
	if err != nil {
		return nil, &phone.Error{Kind: phone.Invalid, Text: "the server's challenge cannot be answered", Err: err}
	}
	next := req.Clone() // sipgo may still read the one before
	next.RemoveHeader(answer)
	next.AppendHeader(sip.NewHeader(answer, cred.String()))
	next.RemoveHeader("Via") // the client adds one with a new branch
	next.CSeq().SeqNo++
	return next, nil
}

// strongestOf is SHA-256 before MD5; nil: none that we know.
func strongestOf(headers []sip.Header) *digest.Challenge {
	var best *digest.Challenge
	for _, h := range headers {
		c, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(c) {
			continue
		}
		if best == nil || weak(best) && !weak(c) {
			best = c
		}
	}
	return best
}

func weak(c *digest.Challenge) bool {
	return c.Algorithm == "" || strings.HasPrefix(strings.ToUpper(c.Algorithm), "MD5")
}
