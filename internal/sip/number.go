package sip

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"

	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/sip/stack"
)

// Bounds of what a peer may say about itself.
const (
	maxUser   = 64  // bytes of a URI's user part that is to be a number
	maxName   = 64  // characters of a display name
	maxHeader = 256 // bytes of a header that is passed on
)

// numberOf reads the telephone number in a sip, sips or tel URI; national ones by
// region.
func numberOf(uri *sip.Uri, region string) (phone.E164, bool) {
	text, ok := userOf(uri)
	if !ok {
		return "", false
	}
	n, err := phone.ParseNumber(text, region)
	return n, err == nil
}

// userOf is the user part without its parameters (RFC 3261 §19.1.6), unescaped;
// of a tel URI the number (RFC 3966).
func userOf(uri *sip.Uri) (string, bool) {
	text := uri.User
	if uri.Scheme == "tel" {
		text = uri.Raw()
	}
	text, _, _ = strings.Cut(text, ";")
	if text == "" || len(text) > maxUser {
		return "", false
	}
	text, ok := unescape(text)
	return text, ok && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// dialled finds the number of ours that a trunk's INVITE is for: the first of the
// places of number_from that names one, else the trunk's default.
func dialled(d Directory, t *directory.Trunk, req *sip.Request) (phone.Number, bool) {
	region := regionOf(d, t)
	from := t.NumberFrom
	if len(from) == 0 {
		from = []string{"request_uri", "to"}
	}
	for _, place := range from {
		uri, ok := addressIn(req, place)
		if !ok {
			continue
		}
		digits, ok := numberOf(&uri, region)
		if !ok {
			continue
		}
		if n, ours := d.NumberByDigits(digits); ours {
			return n, true
		}
	}
	return d.Number(t.DefaultNumber)
}

func regionOf(d Directory, t *directory.Trunk) string {
	if t.DefaultRegion != "" {
		return t.DefaultRegion
	}
	return d.Region()
}

// addressIn reads the URI that stands in one of the places of number_from and
// caller_from.
func addressIn(req *sip.Request, place string) (sip.Uri, bool) {
	switch place {
	case "request_uri":
		return req.Recipient, true
	case "to":
		return req.To().Address, true
	case "from":
		return req.From().Address, true
	}
	name, ok := strings.CutPrefix(place, "header:")
	if !ok {
		name = strings.ReplaceAll(place, "_", "-")
	}
	text := headerText(req, name)
	if text == "" {
		return sip.Uri{}, false
	}
	var uri sip.Uri
	var params sip.HeaderParams
	if _, err := sip.ParseAddressValue(text, &uri, &params); err != nil {
		return sip.Uri{User: text}, true // a bare number
	}
	return uri, true
}

// headerText is a header's value cut to what is passed on; empty if there is
// none or more than one.
func headerText(req *sip.Request, name string) string {
	hs := req.GetHeaders(name)
	if len(hs) != 1 || len(hs[0].Value()) > maxHeader {
		return ""
	}
	return hs[0].Value()
}

// callerOf reads who calls by a trunk: the number, empty when withheld or
// unreadable, and the display name.
func callerOf(d Directory, t *directory.Trunk, req *sip.Request) (phone.E164, string) {
	from := req.From()
	privacy := strings.ToLower(headerText(req, "Privacy"))
	if strings.Contains(privacy, "id") || strings.Contains(privacy, "user") ||
		strings.EqualFold(from.Address.Host, "anonymous.invalid") || strings.EqualFold(from.Address.User, "anonymous") {
		return "", ""
	}
	places := t.CallerFrom
	if len(places) == 0 {
		places = []string{"from"}
	}
	for _, place := range places {
		uri, ok := addressIn(req, place)
		if !ok {
			continue
		}
		if n, ok := numberOf(&uri, regionOf(d, t)); ok {
			return n, displayName(from.DisplayName, n)
		}
	}
	return "", displayName(from.DisplayName, "")
}

// displayName makes a peer's name safe to show: no control characters, no
// characters that turn the direction of text, at most maxName of them; nothing
// when it only repeats the number.
func displayName(name string, number phone.E164) string {
	if !utf8.ValidString(name) {
		return ""
	}
	var b strings.Builder
	count := 0
	for i := 0; i < len(name) && count < maxName; {
		r, size := utf8.DecodeRuneInString(name[i:])
		i += size
		if r == '\\' && i < len(name) { // quoted-pair, RFC 3261 §25.1
			r, size = utf8.DecodeRuneInString(name[i:])
			i += size
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			continue
		}
		b.WriteRune(r)
		count++
	}
	clean := strings.TrimSpace(b.String())
	if n, err := phone.ParseNumber(clean, ""); err == nil && n == number || clean == number.Digits() {
		return ""
	}
	return clean
}

// quoted writes a name as a quoted-string (RFC 3261 §25.1) with a space after it;
// nothing for an empty one.
func quoted(name string) string {
	name = displayName(strings.ReplaceAll(name, `\`, `\\`), "")
	if name == "" {
		return ""
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" `
}

// passed are the headers that templates may read.
func passed(req *sip.Request, names []string) map[string]string {
	var all map[string]string
	for _, name := range names {
		if v := headerText(req, name); v != "" {
			if all == nil {
				all = map[string]string{}
			}
			all[strings.ToLower(name)] = v
		}
	}
	return all
}

// tagOf is a tag parameter.
func tagOf(ps sip.HeaderParams) string { return stack.Param(ps, "tag") }
