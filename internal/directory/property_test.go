package directory

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
)

// anyDocument draws a directory that has no fault.
func anyDocument(t *rapid.T) *document.Node {
	texts := rapid.StringOfN(rapid.RuneFrom([]rune("abcXYZ 0123456789-_.:#'\"{}[]&*!|>%@`,?\\äß☎")), 1, 12, -1)
	list := func(items ...*document.Node) *document.Node {
		return &document.Node{Type: document.List, Items: items}
	}
	entry := func(kv ...any) *document.Node {
		n := document.NewMap()
		for i := 0; i < len(kv); i += 2 {
			switch v := kv[i+1].(type) {
			case string:
				n.Set(kv[i].(string), document.NewText(v))
			case int:
				n.Set(kv[i].(string), document.NewInt(int64(v)))
			case *document.Node:
				n.Set(kv[i].(string), v)
			}
		}
		return n
	}
	count := rapid.IntRange(1, 5).Draw(t, "users")
	users, members := list(), list()
	for i := range count {
		u := entry("name", "u"+texts.Draw(t, "name"), "email", fmt.Sprintf("u%d@example.com", i))
		if rapid.Bool().Draw(t, "id") {
			u.Set("id", document.NewInt(int64(100+i)))
		}
		if rapid.Bool().Draw(t, "phone") {
			password := entry("value", strings.Repeat("x", 12)+texts.Draw(t, "password"))
			u.Set("phones", list(entry("username", fmt.Sprintf("phone-%d", i), "password", password)))
		}
		if rapid.Bool().Draw(t, "external") {
			u.Set("external_ids", entry("crm:"+texts.Draw(t, "space"), fmt.Sprintf("%d", i)))
		}
		users.Items = append(users.Items, u)
		if rapid.Bool().Draw(t, "member") {
			members.Items = append(members.Items, document.NewText(fmt.Sprintf("u%d@example.com", i)))
		}
	}
	steps := list()
	for range rapid.IntRange(0, 3).Draw(t, "steps") {
		steps.Items = append(steps.Items, entry("ring_to", entry("team", "t1", "ringing", entry("ring_for", fmt.Sprintf("%ds", rapid.IntRange(5, 3600).Draw(t, "ring_for"))))))
	}
	steps.Items = append(steps.Items, entry("name", "s"+texts.Draw(t, "step"), "hang_up", entry()))
	return entry(
		"version", 1,
		"company", entry("name", "c"+texts.Draw(t, "company")),
		"users", users,
		"teams", list(entry("name", "t1", "members", members)),
		"numbers", list(entry("name", "n"+texts.Draw(t, "number"), "digits", "+14155550100", "flow", "f1")),
		"credentials", list(entry("name", "k"+texts.Draw(t, "credential"), "type", "bearer", "token", entry("value", "long"+texts.Draw(t, "token")), "hosts", list(document.NewText("api.example.com")))),
		"flows", list(entry("name", "f1", "steps", steps)),
	)
}

// TestExportApplyChangesNothing: whatever is applied, its export says the same,
// as YAML and as JSON, on this server and after a restart.
func TestExportApplyChangesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tree := anyDocument(rt)
		asJSON, err := tree.MarshalJSON()
		if err != nil {
			rt.Fatal(err)
		}
		text := asJSON
		if rapid.Bool().Draw(rt, "yaml") {
			text = tree.YAML()
		}
		doc, faults := Parse("f", text, nil)
		if faults.Fatal() {
			rt.Fatalf("%v\n%s", faults, text)
		}
		store := &memory{}
		first := openTest(t, store)
		if _, err := first.Apply(t.Context(), doc, ApplyOptions{}); err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		for _, d := range []*Directory{first, openTest(t, store)} {
			out, err := d.Export(t.Context())
			if err != nil {
				rt.Fatal(err)
			}
			for _, write := range []func() ([]byte, error){out.YAML, out.JSON} {
				text, err := write()
				if err != nil {
					rt.Fatal(err)
				}
				again, faults := Parse("f", text, nil)
				if faults.Fatal() {
					rt.Fatalf("%v\n%s", faults, text)
				}
				plan, err := d.Apply(t.Context(), again, ApplyOptions{Prune: true})
				if err != nil || len(plan.Changes) > 0 || d.Snapshot().Rev() != 1 {
					rt.Fatalf("%v, revision %d, %s\n%s", err, d.Snapshot().Rev(), plan.Text(), text)
				}
			}
		}
		// and applying the very same document again changes nothing either
		if plan, err := first.Apply(t.Context(), doc, ApplyOptions{Prune: true}); err != nil || len(plan.Changes) > 0 {
			rt.Fatalf("%v, %s", err, plan.Text())
		}
		if u := first.Snapshot().Users(); len(u) == 0 || u[0].ID == phone.UserID(0) {
			rt.Fatalf("users: %+v", u)
		}
	})
}
