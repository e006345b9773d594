package lookup

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/ringpath/ringpath/internal/secret"
)

// Secrets may be implemented beside Credentials: every stored secret, so that
// one that an API echoes is masked whatever it belongs to.
type Secrets interface {
	Secrets() []secret.Text
}

// minMasked is how long a secret must be to be looked for: shorter ones would
// blot out ordinary text.
const minMasked = 4

// tailFrom is from what length on a secret's last four characters are shown.
const tailFrom = 16

// mask is a text to be hidden and what stands instead.
type mask struct{ text, shown string }

type masks []mask

// masks collects the secrets that this trace may hold: the one that was sent in
// all spellings in which it travels, the others as they are.
func (t *Trace) masks() masks {
	var m masks
	if len(t.attempts) > 0 {
		cred := t.attempts[0].msg.cred
		if cred.Type == Basic {
			// Its end gives away the secret's end, whatever its own length.
			m = m.add(strings.TrimPrefix(cred.headerValue(), "Basic "), secret.Mask)
		}
		if text := cred.Secret.Reveal(); len(text) >= minMasked {
			m = m.add(text, shownAs(text))
		}
	}
	if all, ok := t.credentials.(Secrets); ok {
		for _, s := range all.Secrets() {
			if text := s.Reveal(); len(text) >= minMasked {
				m = append(m, mask{text, shownAs(text)})
			}
		}
	}
	return m
}

// shownAs stands for a secret: a long one keeps its end, so that it can be told
// from others.
func shownAs(text string) string {
	if len(text) < tailFrom {
		return secret.Mask
	}
	r := []rune(text)
	return secret.Mask + string(r[max(0, len(r)-4):])
}

// add takes a text in all its spellings, the plain one first.
func (m masks) add(text, shown string) masks {
	m = append(m, mask{text, shown})
	quoted, _ := json.Marshal(text)
	inner := string(quoted[1 : len(quoted)-1])
	for _, other := range []string{
		url.QueryEscape(text), url.PathEscape(text), string(percentEncode(nil, text)),
		inner, string(appendJSON(nil, text)), strings.ReplaceAll(text, "/", `\/`),
	} {
		if other != text && other != m[len(m)-1].text {
			m = append(m, mask{other, shown})
		}
	}
	return m
}

// text masks every secret in s.
func (m masks) text(s string) string {
	for _, x := range m {
		if strings.Contains(s, x.text) {
			s = strings.ReplaceAll(s, x.text, x.shown)
		}
	}
	return s
}

func (m masks) values(in map[string]string) map[string]string {
	if in == nil {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[k] = m.text(v)
	}
	return out
}

// header masks a header's value: secrets, and what is one by its name.
func (m masks) header(name, value string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Set-Cookie":
		return setCookie.mask(value)
	case "Cookie", "Proxy-Authorization":
		return secret.Mask
	case "Authorization":
		if masked := m.text(value); masked != value {
			return masked
		}
		return secret.Mask
	}
	return m.text(value)
}

type cookies struct{}

// setCookie keeps names and attributes.
var setCookie cookies

func (cookies) mask(value string) string {
	name, rest, found := strings.Cut(value, "=")
	if !found {
		return secret.Mask
	}
	_, attributes, more := strings.Cut(rest, ";")
	if !more {
		return name + "=" + secret.Mask
	}
	return name + "=" + secret.Mask + ";" + attributes
}
