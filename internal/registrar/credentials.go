package registrar

import "strings"

// maxCredentials is the longest Authorization value read, in bytes.
const maxCredentials = 2048

// credentials are the parts of an Authorization header (RFC 7616 §3.4).
type credentials struct {
	username, realm, nonce, uri, response, algorithm, cnonce, nc, qop string
}

// parseCredentials reads `Digest name=value, name="value", …`. False: it is no
// digest, or it is malformed, or a part stands in it twice.
func parseCredentials(value string) (credentials, bool) {
	var c credentials
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if len(value) > maxCredentials || !strings.EqualFold(scheme, "Digest") {
		return c, false
	}
	for rest = strings.TrimLeft(rest, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
		name, after, found := strings.Cut(rest, "=")
		if !found {
			return c, false
		}
		var text string
		text, rest, found = cutValue(strings.TrimLeft(after, " \t"))
		if !found {
			return c, false
		}
		if part := c.part(strings.ToLower(strings.TrimSpace(name))); part != nil {
			if *part != "" {
				return c, false
			}
			*part = text
		}
	}
	if c.algorithm == "" {
		c.algorithm = "MD5"
	}
	return c, c.username != "" && c.nonce != "" && c.response != ""
}

// cutValue takes a token or quoted string off the front.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ",")
		return strings.TrimSpace(value), rest, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

func (c *credentials) part(name string) *string {
	switch name {
	case "username":
		return &c.username
	case "realm":
		return &c.realm
	case "nonce":
		return &c.nonce
	case "uri":
		return &c.uri
	case "response":
		return &c.response
	case "algorithm":
		return &c.algorithm
	case "cnonce":
		return &c.cnonce
	case "nc":
		return &c.nc
	case "qop":
		return &c.qop
	}
	return nil
}
