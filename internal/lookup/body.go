package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// bodyTemplate is a compiled body. The zero value is no body.
type bodyTemplate struct {
	contentType string
	parts       []part
	place       place
}

func (t templates) body(kind string, body any) (bodyTemplate, bool) {
	const pointer = "/body"
	out, ok := t.bodyOf(pointer, kind, body)
	size := 0
	for _, p := range out.parts {
		size += len(p.lit)
	}
	if size > maxRendered {
		t.faults.add(pointer, "too_long", "a body is %d KiB at most", maxRendered>>10)
		return bodyTemplate{}, false
	}
	return out, ok
}

func (t templates) bodyOf(pointer, kind string, body any) (bodyTemplate, bool) {
	switch kind {
	case "", "json":
		parts, ok := t.jsonBody(pointer, body)
		return bodyTemplate{"application/json", parts, inJSON}, ok
	case "form":
		parts, ok := t.formBody(pointer, body)
		return bodyTemplate{"application/x-www-form-urlencoded", parts, inForm}, ok
	case "raw":
		text, isText := body.(string)
		if !isText {
			t.faults.add(pointer, "wrong_type", "a raw body is a text")
			return bodyTemplate{}, false
		}
		parts, ok := t.parse(pointer, text, inRaw)
		t.check(pointer, parts, inRaw)
		return bodyTemplate{"text/plain; charset=utf-8", parts, inRaw}, ok
	}
	t.faults.add("/body_type", "unknown_value", "%q: body_type is json, form or raw", kind)
	return bodyTemplate{}, false
}

// formBody compiles name → template; the names are sent in alphabetical order.
func (t templates) formBody(pointer string, body any) ([]part, bool) {
	fields, ok := body.(map[string]any)
	if !ok {
		if texts, isTexts := body.(map[string]string); isTexts {
			fields, ok = map[string]any{}, true
			for k, v := range texts {
				fields[k] = v
			}
		}
	}
	if !ok {
		t.faults.add(pointer, "wrong_type", "a form body is a map: name → value")
		return nil, false
	}
	var all []part
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		at := pointerTo(pointer, name)
		if strings.Contains(name, "{{") {
			t.faults.add(at, "placeholder_in_name", "only values may have placeholders")
			ok = false
		}
		var parts []part
		switch v := fields[name].(type) {
		case map[string]any, []any, nil:
			t.faults.add(at, "wrong_type", "a form value is a text")
			ok = false
		default:
			var good bool
			parts, good = t.parse(at, fmt.Sprint(v), inForm)
			ok = ok && good
			t.check(at, parts, inForm)
		}
		head := string(percentEncode(nil, name)) + "="
		if i > 0 {
			head = "&" + head
		}
		all = append(all, part{lit: head})
		for _, p := range parts {
			if p.ph == nil {
				p.lit = string(percentEncode(nil, p.lit))
			}
			all = append(all, p)
		}
	}
	return all, ok
}

// A mark stands for a placeholder while the text around it is read as JSON:
// markOpen, its index, markClose. Both are private-use characters, refused in
// the text itself.
const (
	markOpen  = "\uE000"
	markClose = "\uE001"
)

// jsonBody compiles a JSON text, or a map or list as it stands in a document.
func (t templates) jsonBody(pointer string, body any) ([]part, bool) {
	m := marker{templates: t, pointer: pointer, ok: true}
	var text string
	if s, isText := body.(string); isText {
		text = m.mark(s)
	} else {
		marked, err := m.tree(body)
		var buf bytes.Buffer
		if err == nil {
			enc := json.NewEncoder(&buf)
			enc.SetEscapeHTML(false)
			err = enc.Encode(marked)
		}
		if err != nil {
			t.faults.add(pointer, "bad_json", "%s", err)
			return nil, false
		}
		text = strings.TrimSpace(buf.String())
	}
	if !m.ok {
		return nil, false
	}
	if !json.Valid([]byte(text)) {
		t.faults.add(pointer, "bad_json", "%s", m.why(text))
		return nil, false
	}
	c := jsonCompiler{marker: &m, text: text}
	c.compile()
	return c.parts, m.ok
}

// marker replaces placeholders by marks.
type marker struct {
	templates
	pointer string
	phs     []*placeholder
	ok      bool
}

func (m *marker) fault(code, format string, args ...any) {
	m.faults.add(m.pointer, code, format, args...)
	m.ok = false
}

func (m *marker) mark(s string) string {
	if strings.Contains(s, markOpen) || strings.Contains(s, markClose) {
		m.fault("bad_json", "the characters U+E000 and U+E001 cannot stand in a template")
		return ""
	}
	parts, ok := m.parse(m.pointer, s, inJSON)
	m.ok = m.ok && ok
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.lit)
		if p.ph != nil {
			b.WriteString(markOpen + itoa(len(m.phs)) + markClose)
			m.phs = append(m.phs, p.ph)
		}
	}
	return b.String()
}

// tree marks the texts of a document's value.
func (m *marker) tree(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return m.mark(v), nil
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = m.tree(v[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			if strings.Contains(k, "{{") {
				return nil, fmt.Errorf("%q: a key cannot have a placeholder", k)
			}
			var err error
			if out[k], err = m.tree(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[any]any:
		return nil, errors.New("keys must be texts")
	}
	return v, nil
}

// why says what is wrong with a text that is no JSON.
func (m *marker) why(text string) string {
	var dec any
	err := json.Unmarshal([]byte(text), &dec)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := text[:min(int(syntax.Offset), len(text))]
		if i := strings.LastIndex(before, markOpen[:1]); i >= 0 && i >= len(before)-len(markOpen) {
			return `a placeholder stands outside of a string; write "{{name}}", or "{{name|number}}" where a number is wanted`
		}
		return fmt.Sprintf("not JSON near character %d: %s", syntax.Offset, err)
	}
	return "not JSON"
}

// jsonCompiler cuts valid, marked JSON into parts.
type jsonCompiler struct {
	*marker
	text  string
	parts []part
	lit   strings.Builder
	key   string // the last one
}

func (c *jsonCompiler) compile() {
	for i := 0; i < len(c.text); {
		if c.text[i] != '"' {
			c.lit.WriteByte(c.text[i])
			i++
			continue
		}
		end := stringEnd(c.text, i)
		c.string(c.text[i+1:end-1], isKey(c.text[end:]))
		i = end
	}
	c.flush()
}

// stringEnd is where the JSON string that begins at i is over.
func stringEnd(text string, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func isKey(after string) bool {
	return strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), ":")
}

func (c *jsonCompiler) flush() {
	c.parts = appendLit(c.parts, c.lit.String())
	c.lit.Reset()
}

// string takes one string leaf or key, without its quotes.
func (c *jsonCompiler) string(content string, key bool) {
	parts := c.split(content)
	if key {
		_ = json.Unmarshal([]byte(`"`+content+`"`), &c.key)
	}
	if source(parts) == "" {
		c.lit.WriteString(`"` + content + `"`)
		return
	}
	if key {
		c.fault("placeholder_in_name", "%s stands in a key; only values may change", source(parts))
		return
	}
	if c.key == "query" && isGraphQL(content) {
		c.fault("placeholder_in_query", "%s stands inside a GraphQL query; give it as one of variables", source(parts))
		return
	}
	c.check(c.pointer, parts, inJSON)
	whole := len(parts) == 1 && (parts[0].ph.number || parts[0].ph.optional)
	for _, p := range parts {
		if p.ph != nil && (p.ph.number || p.ph.optional) && !whole {
			c.fault("bad_template", "%s: number and optional make the whole string a number or null, so nothing else may stand in it", p.ph.source)
			return
		}
	}
	if !whole {
		c.lit.WriteByte('"')
	}
	for _, p := range parts {
		if p.ph == nil {
			c.lit.WriteString(p.lit)
			continue
		}
		c.flush()
		c.parts = append(c.parts, p)
	}
	if !whole {
		c.lit.WriteByte('"')
	}
}

// split turns marks back into placeholders.
func (c *jsonCompiler) split(content string) (parts []part) {
	for {
		before, rest, found := strings.Cut(content, markOpen)
		parts = appendLit(parts, before)
		if !found {
			return parts
		}
		index, after, _ := strings.Cut(rest, markClose)
		n := 0
		for _, d := range index {
			n = n*10 + int(d-'0')
		}
		parts = append(parts, part{ph: c.phs[n]})
		content = after
	}
}

// isGraphQL says that the value of a "query" key is a GraphQL document (marks
// and escapes included), not a search text.
func isGraphQL(content string) bool {
	content = strings.TrimSpace(strings.NewReplacer(`\n`, " ", `\t`, " ", `\r`, " ").Replace(content))
	for _, head := range []string{"{", "query", "mutation", "subscription", "fragment", "#"} {
		if strings.HasPrefix(content, head) && strings.Contains(content, "{") {
			return true
		}
	}
	return false
}
