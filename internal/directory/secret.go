package directory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/secret"
)

// In a Document's tree every secret is {stored: true}; when its text is known
// it hangs on that node, as a secret.Text in Extra. So whatever writes the tree
// writes no secret, whoever forgets about them.

const (
	codeSecret        = "secret"         // not written as a secret is
	codeMissingSecret = "missing_secret" // {stored: true}, but nothing is stored
)

// secretOf is the secret that hangs on a node.
func secretOf(n *document.Node) (secret.Text, bool) {
	if n == nil {
		return secret.Text{}, false
	}
	t, ok := n.Extra.(secret.Text)
	return t, ok
}

func setSecret(n *document.Node, t secret.Text) {
	*n = document.Node{Type: document.Map, Place: n.Place, Extra: t,
		Fields: []document.Field{{Name: "stored", Place: n.Place, Value: &document.Node{Type: document.Scalar, Plain: true, Text: "true", Place: n.Place}}}}
}

// eachSecret visits the secrets of an entry: fields with a secret's name in it
// or in maps of a list in it (phones).
func eachSecret(s section, entry *document.Node, at string, visit func(n *document.Node, pointer string)) {
	for _, f := range entry.Fields {
		at := document.Join(at, f.Name)
		if contains(s.secrets, f.Name) {
			visit(f.Value, at)
			continue
		}
		if f.Value.Type != document.List {
			continue
		}
		for i, item := range f.Value.Items {
			eachSecret(s, item, document.Join(at, i), visit)
		}
	}
}

// secretSource is where {env} and {file} are read.
type secretSource interface {
	env(name string) (string, error)
	file(path string) (string, error)
}

// remote is a document of somebody else: nothing of ours is read for it.
type remote struct{}

func (remote) env(string) (string, error) {
	return "", fmt.Errorf("{env} and {file} are read by the command that applies, never by the server: send {value: …}")
}
func (r remote) file(path string) (string, error) { return r.env(path) }

// local is a document of the one who runs the command.
type local struct{ folder string }

func (local) env(name string) (string, error) {
	text, ok := os.LookupEnv(name)
	if !ok || text == "" {
		return "", fmt.Errorf("the environment variable %s is not set", name)
	}
	return text, nil
}

func (l local) file(path string) (string, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.folder, path)
	}
	text, err := readBounded(path, maxSecret)
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

const maxSecret = 16 << 10 // bytes

// secret reads {env: NAME}, {file: PATH}, {value: …} or {stored: true}.
func (r *shape) secret(n *document.Node, at string, from secretSource) {
	if n.Type == document.Null {
		return // as if it were not there
	}
	if n.Type != document.Map || len(n.Fields) != 1 || n.Fields[0].Value.Type != document.Scalar {
		r.fault(n.Place, at, codeSecret, "a secret is written {env: NAME}, {file: PATH}, {value: …} or {stored: true}")
		return
	}
	how, text := n.Fields[0].Name, n.Fields[0].Value.Text
	var err error
	switch how {
	case "env":
		text, err = from.env(text)
	case "file":
		text, err = from.file(text)
	case "value":
	case "stored":
		if text != "true" {
			r.fault(n.Place, at, codeSecret, "{stored: %s} says nothing: write {stored: true} to keep what is there", text)
		}
		return
	default:
		r.fault(n.Fields[0].Place, at, codeSecret, "there is no secret {%s: …}: write {env: NAME}, {file: PATH}, {value: …} or {stored: true}", how)
		return
	}
	switch {
	case err != nil:
		r.fault(n.Place, at, codeSecret, "the secret cannot be read: %s", err)
	case text == "":
		r.fault(n.Place, at, codeSecret, "the secret is empty")
	case len(text) > maxSecret:
		r.fault(n.Place, at, codeSecret, "a secret has at most %d bytes", maxSecret)
	default:
		setSecret(n, secret.New(text))
	}
}

// Reveal writes the document as JSON with its secrets in the clear, {value: …},
// for the body of a request to a server. Never print or log it.
func (d Document) Reveal() ([]byte, error) {
	root := d.versioned()
	for _, s := range sections {
		for _, entry := range (Document{root: root}).entries(s) {
			eachSecret(s, entry, "", func(n *document.Node, _ string) {
				if t, ok := secretOf(n); ok {
					*n = *document.NewMap(document.Field{Name: "value", Value: document.NewText(t.Reveal())})
				}
			})
		}
	}
	return root.MarshalJSON()
}
