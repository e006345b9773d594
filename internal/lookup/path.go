package lookup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theory/jsonpath/spec"
)

// maxPath is how long a path may be, in bytes.
const maxPath = 1024

// path is a compiled path into an answer.
type path struct {
	source   string
	holds    func(raw []byte) bool // whether a node holds a value; set by Compile
	steps    []step                // when streamed
	streamed bool                  // names, indexes and wildcards only: read without building the document
	simple   bool                  // names and indexes only
	segments []*spec.Segment
}

// compilePath reads an RFC 9535 path, or the everyday form of one without "$".
func compilePath(text string) (*path, error) {
	if len(text) > maxPath {
		return nil, fmt.Errorf("longer than %d characters", maxPath)
	}
	query, err := parseQuery(rooted(text))
	if err != nil {
		if better := suggest(text); better != "" {
			return nil, fmt.Errorf("write %s", better)
		}
		return nil, err
	}
	p := &path{source: text, segments: query.Segments(), streamed: true, simple: true}
	for _, segment := range p.segments {
		st, ok := streamStep(segment)
		p.streamed = p.streamed && ok
		p.simple = p.simple && ok && st.kind != stepAny
		p.steps = append(p.steps, st)
	}
	if len(p.steps) > maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	return p, nil
}

// rooted puts the "$" in front that the everyday form leaves out.
func rooted(text string) string {
	switch {
	case text == "":
		return "$"
	case text[0] == '$', text[0] == '.': // "." is no beginning: "$..a" would mean any a
		return text
	case text[0] == '[':
		return "$" + text
	}
	return "$." + text
}

func streamStep(segment *spec.Segment) (step, bool) {
	selectors := segment.Selectors()
	if segment.IsDescendant() || len(selectors) != 1 {
		return step{}, false
	}
	switch s := selectors[0].(type) {
	case spec.Name:
		return step{kind: stepName, name: string(s)}, true
	case spec.Index:
		return step{kind: stepIndex, index: int(s)}, true
	case spec.WildcardSelector:
		return step{kind: stepAny}, true
	}
	return step{}, false
}

// suggest is what somebody who is used to another path language meant; empty if
// it cannot be told.
func suggest(text string) string {
	if strings.ContainsAny(text, "?()'\"") {
		return ""
	}
	var b strings.Builder
	for i, token := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(text, "$"), "."), ".") {
		name, brackets, _ := strings.Cut(token, "[")
		if brackets != "" {
			brackets = "[" + brackets
		}
		switch {
		case name == "":
		case digitsEnd(name) == len(name):
			name = "[" + name + "]"
		case !isShorthand(name):
			name = "['" + strings.ReplaceAll(name, `\`, `\\`) + "']"
		case i > 0:
			name = "." + name
		}
		b.WriteString(name + brackets)
	}
	better := b.String()
	if _, err := parseQuery(rooted(better)); err != nil || better == text {
		return ""
	}
	return better
}

// isShorthand says that a name may stand after a dot (RFC 9535 §2.5.1).
func isShorthand(name string) bool {
	if name == "*" {
		return true
	}
	for i, r := range name {
		letter := r == '_' || r >= 0x80 || r|0x20 >= 'a' && r|0x20 <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// finding is what a path gave, and if nothing, why.
type finding struct {
	hits   []hit
	reason Reason // no hits: path_missing, path_null, empty_list
}

// extract reads an answer by all paths. A Reason says that the answer is no
// usable JSON, or that ctx ended first.
func extract(ctx context.Context, body []byte, paths []*path) ([]finding, Reason) {
	stream := make([]streamed, 0, len(paths))
	for _, p := range paths {
		if p.streamed {
			stream = append(stream, streamed{p.steps, p.holds})
		}
	}
	results, reason := scan(body, stream)
	if reason != "" {
		return nil, reason
	}
	out := make([]finding, len(paths))
	var doc any
	next := 0
	for i, p := range paths {
		if p.streamed {
			out[i] = results[next].finding(p.simple)
			next++
			continue
		}
		if doc == nil {
			d := json.NewDecoder(bytes.NewReader(body))
			d.UseNumber()
			if err := d.Decode(&doc); err != nil {
				return nil, ReasonNotJSON
			}
		}
		if out[i], reason = p.walk(ctx, body, doc); reason != "" {
			return nil, reason
		}
	}
	return out, ""
}

func (f found) finding(simple bool) finding {
	out := finding{hits: f.hits}
	switch {
	case len(f.hits) > 0:
	case f.empty > 0, simple && f.null:
		out.reason = ReasonPathNull
	case f.list:
		out.reason = ReasonEmptyList
	default:
		out.reason = ReasonPathMissing
	}
	return out
}

// walker evaluates a path on a document: ours goes from node to node, so that it
// can stop early and count its steps; the library tests filters.
type walker struct {
	ctx   context.Context // of the one walk
	path  *path
	root  any
	steps int
	empty int
	list  bool // a wildcard, slice or filter met an empty list
	hits  []streamed
	stop  bool // enough hits
	late  bool // ctx ended, or too many steps
}

// maxSteps bounds the nodes that a path may visit.
const maxSteps = 1 << 20

func (p *path) walk(ctx context.Context, body []byte, doc any) (finding, Reason) {
	w := walker{ctx: ctx, path: p, root: doc}
	w.node(doc, nil, p.segments)
	switch {
	case w.late:
		return finding{}, ReasonTimeout
	case len(w.hits) == 0 && w.empty > 0:
		return finding{reason: ReasonPathNull}, ""
	case len(w.hits) == 0 && w.list:
		return finding{reason: ReasonEmptyList}, ""
	case len(w.hits) == 0:
		return finding{reason: ReasonPathMissing}, ""
	}
	// The hits are paths of names and indexes now: a second pass over the text
	// gives each node as it was written, and where.
	results, _ := scan(body, w.hits)
	var out finding
	for _, r := range results {
		out.hits = append(out.hits, r.hits...)
	}
	return out, ""
}

// node applies the segments that are left to a node.
func (w *walker) node(v any, at []step, left []*spec.Segment) {
	if w.steps++; w.steps > maxSteps || w.steps%256 == 0 && w.ctx.Err() != nil {
		w.late = true
	}
	if w.stop || w.late {
		return
	}
	if len(left) == 0 {
		w.hit(v, at)
		return
	}
	for _, s := range left[0].Selectors() {
		w.selector(s, v, at, left[1:])
	}
	if !left[0].IsDescendant() {
		return
	}
	w.children(v, at, func(child any, at []step) { w.node(child, at, left) })
}

func (w *walker) hit(v any, at []step) {
	raw, ok := scalarJSON(v)
	if list, isList := v.([]any); isList && len(list) == 0 {
		w.list = true
		return
	}
	if ok && !w.path.holds(raw) {
		w.empty++
		return
	}
	w.hits = append(w.hits, streamed{slices.Clone(at), func([]byte) bool { return true }})
	w.stop = len(w.hits) == maxHits
}

// scalarJSON is a scalar's JSON; false for objects and lists, which are values.
func scalarJSON(v any) ([]byte, bool) {
	switch v.(type) {
	case []any, map[string]any:
		return nil, false
	}
	raw, err := json.Marshal(v)
	return raw, err == nil
}

func (w *walker) selector(s spec.Selector, v any, at []step, left []*spec.Segment) {
	list, isList := v.([]any)
	switch s := s.(type) {
	case spec.Name:
		if m, ok := v.(map[string]any); ok {
			if child, ok := m[string(s)]; ok {
				w.node(child, append(at, step{kind: stepName, name: string(s)}), left)
			}
		}
		return
	case spec.Index:
		i := int(s)
		if i < 0 {
			i += len(list)
		}
		if i >= 0 && i < len(list) {
			w.node(list[i], append(at, step{kind: stepIndex, index: i}), left)
		}
		return
	case spec.SliceSelector:
		w.slice(s, list, at, left)
	case *spec.FilterSelector:
		w.children(v, at, func(child any, at []step) {
			if w.ctx.Err() != nil {
				w.late = true
			} else if s.Eval(child, w.root) {
				w.node(child, at, left)
			}
		})
	default: // wildcard
		w.children(v, at, func(child any, at []step) { w.node(child, at, left) })
	}
	if isList && len(list) == 0 {
		w.list = true
	}
}

func (w *walker) slice(s spec.SliceSelector, list []any, at []step, left []*spec.Segment) {
	lower, upper := s.Bounds(len(list))
	for i := lower; s.Step() > 0 && i < upper; i += s.Step() {
		w.node(list[i], append(at, step{kind: stepIndex, index: i}), left)
		if i > upper-s.Step() {
			break // a huge step must not run over
		}
	}
	for i := upper; s.Step() < 0 && i > lower; i += s.Step() {
		w.node(list[i], append(at, step{kind: stepIndex, index: i}), left)
		if i < lower-s.Step() {
			break
		}
	}
}

// children visits elements in order and members in the order of their names: a
// JSON object has no order of its own (RFC 9535 §2.3.2.2), and the same answer
// must always ring the same person.
func (w *walker) children(v any, at []step, visit func(any, []step)) {
	switch v := v.(type) {
	case []any:
		for i, child := range v {
			if w.stop || w.late {
				return
			}
			visit(child, append(at, step{kind: stepIndex, index: i}))
		}
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if w.stop || w.late {
				return
			}
			visit(v[name], append(at, step{kind: stepName, name: name}))
		}
	}
}

var errPath = errors.New("not a path: write names and indexes, calls[0].user.id, or JSONPath (RFC 9535)")
