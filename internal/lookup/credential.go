package lookup

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/ringpath/ringpath/internal/secret"
)

// The types of credential that this version carries out.
const (
	Basic  = "basic"   // Username and Secret
	Bearer = "bearer"  // Secret is the token
	APIKey = "api_key" // Secret, in the header or query parameter Key
)

// LaterCredentials are types of the specification that this version refuses
// with `not_in_this_version`.
var LaterCredentials = []string{"oauth2", "hmac", "client_cert"}

// Credential is what a request authenticates itself with. It is sent to Hosts
// and nowhere else.
type Credential struct {
	Name     string
	Type     string // Basic, Bearer, APIKey
	Username string // Basic
	Secret   secret.Text
	Key      string // APIKey: name of the header or query parameter
	Form     string // APIKey in a header: "Token token={{secret}}"; empty: the secret alone
	In       string // APIKey: "header" (default) or "query"
	// Hosts are host[:port], where "*." stands for one label. Without a port the
	// scheme's own is meant.
	Hosts []string
}

// Credentials finds credentials; *directory.Snapshot does.
type Credentials interface {
	Credential(name string) (Credential, bool)
}

// secretPlace is what {{secret}} in Credential.Form stands as.
const secretPlace = "{{secret}}"

// header is the header that the credential sets, canonical; empty if none.
func (c Credential) header() string {
	switch {
	case c.Type == Basic, c.Type == Bearer:
		return "Authorization"
	case c.Type == APIKey && c.In != "query":
		return http.CanonicalHeaderKey(c.Key)
	}
	return ""
}

// headerValue is what header is set to.
func (c Credential) headerValue() string {
	s := c.Secret.Reveal()
	switch {
	case c.Type == Basic:
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+s))
	case c.Type == Bearer:
		return "Bearer " + s
	case c.Form != "":
		return strings.ReplaceAll(c.Form, secretPlace, s)
	}
	return s
}

// query is the parameter that the credential adds to the URL, encoded; empty if none.
func (c Credential) query() string {
	if c.Type != APIKey || c.In != "query" {
		return ""
	}
	return url.QueryEscape(c.Key) + "=" + url.QueryEscape(c.Secret.Reveal())
}

// allows says that the credential may go to host:port by scheme. All are lower case.
func (c Credential) allows(scheme, host, port string) bool {
	for _, pattern := range c.Hosts {
		want, wantPort := splitHost(strings.ToLower(pattern))
		if wantPort == "" {
			wantPort = defaultPort(scheme)
		}
		if wantPort == port && matchHost(want, host) {
			return true
		}
	}
	return false
}

// matchHost compares a host with a pattern whose "*." stands for one label.
func matchHost(pattern, host string) bool {
	rest, wild := strings.CutPrefix(pattern, "*.")
	if !wild {
		return pattern == host
	}
	label, tail, found := strings.Cut(host, ".")
	return found && label != "" && tail == rest
}

// splitHost parts host[:port]; an IPv6 address may stand in brackets or, without
// a port, bare.
func splitHost(text string) (host, port string) {
	if after, ok := strings.CutPrefix(text, "["); ok {
		host, rest, _ := strings.Cut(after, "]")
		return host, strings.TrimPrefix(rest, ":")
	}
	if strings.Count(text, ":") != 1 {
		return text, ""
	}
	host, port, _ = strings.Cut(text, ":")
	return host, port
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}
