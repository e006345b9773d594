package directory

import (
	"slices"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/secret"
)

const codeSecretAgain = "secret_needed"

// inherit fills in the secrets that the document leaves as they are. A secret
// whose destination changes is not inherited: whoever may write a document must
// not have a stored secret sent to themselves.
func (m *merge) inherit() {
	for _, s := range sections {
		for _, e := range m.now[s.kind] {
			if e.stored != nil && e.named && len(s.secrets) > 0 {
				m.inheritEntry(s, e)
			}
		}
	}
}

func (m *merge) inheritEntry(s section, e *entry) {
	stored := secretsIn(s, e.stored.node)
	if phones := e.node.Get("phones"); phones != nil {
		for _, p := range phones.Items { // a phone named without its password keeps it
			if p.Get("password") == nil {
				p.Set("password", &document.Node{Place: p.Place})
			}
		}
	}
	moved := s.kind == KindCredential && moves(e.stored.node, e.node)
	eachSecret(s, e.node, e.pointer, func(n *document.Node, pointer string) {
		if _, known := secretOf(n); known && n.Place.Line > 0 {
			return // written in the document
		}
		old, ok := stored[secretPlace(e.node, n)]
		switch {
		case !ok: // a fault of the build
		case moved:
			m.fault(e.node.Place, pointer, codeSecretAgain,
				"hosts and type say where the secret of %s goes: who changes them gives the secret again, as {env: NAME}, {file: PATH} or {value: …}", e.label())
			setSecret(n, old) // so that this is the only fault
		default:
			setSecret(n, old)
		}
	})
}

// secretsIn are the secrets of an entry by place.
func secretsIn(s section, entry *document.Node) map[string]secret.Text {
	all := map[string]secret.Text{}
	eachSecret(s, entry, "", func(n *document.Node, _ string) {
		if t, ok := secretOf(n); ok {
			all[secretPlace(entry, n)] = t
		}
	})
	return all
}

// moves says that a credential's secret would go somewhere else than before.
func moves(before, after *document.Node) bool {
	a, b := texts(before.Get("hosts")), texts(after.Get("hosts"))
	kindA, kindB := before.Get("type"), after.Get("type")
	return !slices.Equal(a, b) || !kindA.Equal(kindB)
}

// texts are the items of a list, sorted, in lower case.
func texts(list *document.Node) []string {
	var all []string
	if list != nil {
		for _, item := range list.Items {
			all = append(all, strings.ToLower(item.Text))
		}
	}
	slices.Sort(all)
	return all
}
