package sip

import (
	"bytes"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// tap turns a message of a call into a record. It runs only when somebody
// listens.
func (s *Server) tap(m stack.Seen) {
	local := m.Flow.Local.String() + "/" + m.Flow.Transport
	remote := m.Flow.Remote.String() + "/" + m.Flow.Transport
	r := record.Message{Call: phone.CallID(m.Owner), At: time.Now(), Sent: m.Sent, From: remote, To: local, Raw: masked(m.Raw)}
	if m.Sent {
		r.From, r.To = local, remote
	}
	s.opts.Tap(r)
}

// secretHeaders carry credentials.
var secretHeaders = [][]byte{[]byte("authorization"), []byte("proxy-authorization")}

// masked is a copy of a message without credentials. It makes no difference
// between head and body: where one ends is a question of taste to some.
func masked(raw []byte) []byte {
	if !mayHaveSecret(raw) {
		return bytes.Clone(raw)
	}
	out := make([]byte, 0, len(raw))
	rest := raw
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		if name := secretName(line); name != nil {
			out = append(append(out, name...), " ••••\r\n"...)
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') { // folded
				i := bytes.IndexByte(rest, '\n')
				if i < 0 {
					i = len(rest) - 1
				}
				rest = rest[i+1:]
			}
			continue
		}
		out = append(out, line...)
	}
	return out
}

// mayHaveSecret says that masked has to look at every line; most messages pass
// with one look at the letters that both headers share.
func mayHaveSecret(raw []byte) bool {
	for at := 0; ; at++ {
		i := bytes.IndexAny(raw[at:], "zZ")
		if i < 0 {
			return false
		}
		if at += i; at >= 6 && bytes.EqualFold(raw[at-6:at], []byte("uthori")) {
			return true
		}
	}
}

// secretName is a line's "Name:" if it carries credentials.
func secretName(line []byte) []byte {
	first := bytes.TrimLeft(line, " \t")
	if len(first) == 0 || first[0]|0x20 != 'a' && first[0]|0x20 != 'p' {
		return nil // as nearly every line
	}
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return nil
	}
	for _, name := range secretHeaders {
		if bytes.EqualFold(bytes.TrimSpace(line[:i]), name) {
			return line[:i+1]
		}
	}
	return nil
}
