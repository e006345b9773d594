package sip

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/registrar"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// sender is who sent a request: a trunk, or the owner of an account.
type sender struct {
	trunk   *directory.Trunk // nil: account
	account registrar.Account
}

// identify finds out who sent a request outside a dialog: a trunk by its source,
// anybody else by digest. False: it was answered.
func (s *Server) identify(in *stack.Incoming) (sender, bool) {
	if t, ok := s.opts.Directory().TrunkFor(in.Flow.Remote); ok {
		return sender{trunk: t}, true
	}
	account, ok := s.authenticate(in)
	return sender{account: account}, ok
}

// authenticate checks the credentials of a request. False: it was answered.
func (s *Server) authenticate(in *stack.Incoming) (registrar.Account, bool) {
	var values []string
	for _, h := range in.Request.GetHeaders("Authorization") {
		values = append(values, h.Value())
	}
	account, verdict := s.digest.Check(string(in.Request.Method), in.Request.Recipient.String(), values)
	switch verdict {
	case registrar.Right:
		return account, true
	case registrar.Wrong:
		s.guard.failed(in.Flow.Remote)
	}
	s.challenge(in, verdict == registrar.Stale)
	return registrar.Account{}, false
}

// challenge sends a 401, and no memory is spent on it. So that a forged source
// gains little, one that is well longer than the request offers one algorithm.
func (s *Server) challenge(in *stack.Incoming, stale bool) {
	values := s.digest.Challenges(stale)
	head, tag := in.Head(), s.address.tag(in)
	wire := challengeWire(head, tag, values)
	if in.Raw != nil && len(wire) > len(in.Raw)+len(in.Raw)/2 && len(values) > 1 {
		wire = challengeWire(head, tag, values[len(values)-1:])
	}
	s.opts.Count(string(in.Request.Method), 401)
	in.Reply(wire)
}

func challengeWire(head *stack.Head, tag string, values []string) []byte {
	r := stack.Response{Status: 401, Tag: tag}
	for _, v := range values {
		r.Headers = append(r.Headers, stack.Header{Name: "WWW-Authenticate", Value: v})
	}
	return head.Wire(r)
}

// account finds a phone's login.
func (s *Server) account(username string) (registrar.Account, bool) {
	a, ok := s.opts.Directory().Account(strings.ToLower(username))
	return registrar.Account{User: a.User, Username: a.Username, Password: a.Password}, ok
}

// tag is the To tag of answers without memory: the same for each repetition of a
// request (RFC 3261 §8.2.7).
func (a *addresses) tag(in *stack.Incoming) string {
	req := in.Request
	text := stack.Param(req.Via().Params, "branch")
	if stack.Complete(req) {
		text += "\x00" + req.CallID().Value() + "\x00" + tagOf(req.From().Params)
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
