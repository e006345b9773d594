package lookup

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

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

// masks are the longest text first: a secret that another begins with must not
// leave that one's end to be seen.
type masks []mask

// findMasks collects the secrets that a run's trace may hold: the one that is
// sent in all spellings in which it travels, the others as they are.
func findMasks(sent Credential, all Credentials) masks {
	var m masks
	if sent.Type == Basic {
		// Its end gives away the secret's end, whatever its own length.
		m = m.add(strings.TrimPrefix(sent.headerValue(), "Basic "), secret.Mask)
	}
	if text := sent.Secret.Reveal(); len(text) >= minMasked {
		m = m.add(text, shownAs(text))
	}
	if stored, ok := all.(Secrets); ok {
		for _, s := range stored.Secrets() {
			if text := s.Reveal(); len(text) >= minMasked && s != sent.Secret {
				m = append(m, mask{text, shownAs(text)})
			}
		}
	}
	slices.SortStableFunc(m, func(a, b mask) int { return cmp.Compare(len(b.text), len(a.text)) })
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

// clip masks s and cuts it to n bytes, in this order: half a secret is not found.
func (m masks) clip(s string, n int) string { return clip(m.text(s), n) }

// straddled is the secret that a cut at a place in a text would go through;
// else both ends are the place.
func (m masks) straddled(text []byte, at int) (start, end int) {
	for _, x := range m {
		from, to := max(0, at-len(x.text)+1), min(len(text), at+len(x.text)-1)
		if i := bytes.Index(text[from:to], []byte(x.text)); i >= 0 {
			return from + i, from + i + len(x.text)
		}
	}
	return at, at
}

// window is at most limit bytes of an answer around [start, end), masked. It
// begins behind and ends before a secret that it would cut.
func (m masks) window(answer []byte, start, end, limit int) (text string, offset int) {
	if len(answer) <= limit {
		return m.text(string(answer)), 0
	}
	from := max(0, start-max(0, limit-(end-start))/2)
	if end == 0 {
		from = 0
	}
	from = min(from, len(answer)-limit)
	to := from + limit
	if from > 0 {
		_, from = m.straddled(answer, from)
	}
	if to < len(answer) {
		to, _ = m.straddled(answer, to)
	}
	for from < to && !utf8.RuneStart(answer[from]) {
		from++
	}
	return clip(m.text(string(answer[from:max(from, to)])), limit), from
}

// maxShownHeaders bounds the headers that a trace shows.
const maxShownHeaders = 40

func (m masks) headers(h http.Header) map[string]string {
	if len(h) == 0 {
		return nil
	}
	out := make(map[string]string, len(h))
	for name, values := range h {
		if len(out) == maxShownHeaders {
			break
		}
		shown := values[0:len(values):len(values)]
		for i, v := range values {
			if masked := m.header(name, v); masked != v {
				shown = slices.Clone(shown)
				shown[i] = masked
			}
		}
		out[name] = clip(strings.Join(shown, ", "), maxValue)
	}
	return out
}

// header masks a header's value: secrets, and what is one by its name.
func (m masks) header(name, value string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Set-Cookie":
		return maskCookie(value)
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

// maskCookie keeps a cookie's name and attributes.
func maskCookie(value string) string {
	pair, attributes, more := strings.Cut(value, ";")
	name, _, _ := strings.Cut(pair, "=")
	if pair == name { // no name: all of it is the value
		return secret.Mask
	}
	masked := name + "=" + secret.Mask
	if more {
		masked += ";" + attributes
	}
	return masked
}
