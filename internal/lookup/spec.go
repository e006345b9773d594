package lookup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Bounds and defaults of a Spec.
const (
	MinTimeout     = 200 * time.Millisecond
	MaxTimeout     = 10 * time.Second
	DefaultTimeout = 3 * time.Second
	MaxRetries     = 3
	DefaultRetries = 1
)

// Spec is a lookup as a document writes it: the part of a ring_to_api step that
// is about asking and reading, without ringing and otherwise.
type Spec struct {
	Method     string            `json:"method,omitempty" yaml:"method,omitempty"` // GET (default) or POST
	URL        string            `json:"url,omitempty" yaml:"url,omitempty"`       // template; scheme, host and port are fixed text
	Headers    map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	Body       any               `json:"body,omitempty" yaml:"body,omitempty"`           // text, or a map or list for json and form. POST only
	BodyType   string            `json:"body_type,omitempty" yaml:"body_type,omitempty"` // json (default), form, raw
	Credential string            `json:"credential,omitempty" yaml:"credential,omitempty"`
	Response   Response          `json:"response,omitzero" yaml:"response,omitempty"`
	Timeout    Duration          `json:"timeout,omitempty" yaml:"timeout,omitempty"`       // of the whole lookup, 200ms–10s; 0: 3s
	Retries    *int              `json:"retries,omitempty" yaml:"retries,omitempty"`       // 0–3; nil: 1
	Idempotent bool              `json:"idempotent,omitempty" yaml:"idempotent,omitempty"` // a POST may be sent twice
	Enabled    *bool             `json:"enabled,omitempty" yaml:"enabled,omitempty"`       // nil: true; false: the exit is failed, disabled
	Requests   any               `json:"requests,omitempty" yaml:"requests,omitempty"`     // several requests: not in this version
	Cache      any               `json:"cache,omitempty" yaml:"cache,omitempty"`           // not in this version
}

// Response says where the value stands in the answer and what it means.
type Response struct {
	Type          string            `json:"type,omitempty" yaml:"type,omitempty"`         // user (default), team, number, external, auto
	Path          Paths             `json:"path,omitempty" yaml:"path,omitempty"`         // one or several; "" is the whole answer
	IDs           string            `json:"ids,omitempty" yaml:"ids,omitempty"`           // ringpath (default) or a key of external_ids
	Map           map[string]MapTo  `json:"map,omitempty" yaml:"map,omitempty"`           // value → target or other value; key "*": any other
	Take          string            `json:"take,omitempty" yaml:"take,omitempty"`         // first (default), all
	EmptyOn       []int             `json:"empty_on,omitempty" yaml:"empty_on,omitempty"` // statuses that mean nobody; nil: 204
	Show          map[string]string `json:"show,omitempty" yaml:"show,omitempty"`         // name → path: facts for whoever is rung
	AllowExternal bool              `json:"allow_external,omitempty" yaml:"allow_external,omitempty"`
}

// Duration is a time.Duration that documents write as text, "3s".
type Duration time.Duration

// UnmarshalText reads "3s", "200ms".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration: write a number with a unit, for example 3s or 200ms", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String is the duration with its unit: "3s".
func (d Duration) String() string { return time.Duration(d).String() }

// Paths is one path or a list of them. Nil: none was written.
type Paths []string

// UnmarshalJSON reads a text or a list of texts.
func (p *Paths) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(p))
	}
	*p = Paths{""}
	return json.Unmarshal(data, &(*p)[0])
}

// MarshalJSON writes a single path as text.
func (p Paths) MarshalJSON() ([]byte, error) {
	if len(p) == 1 {
		return json.Marshal(p[0])
	}
	return json.Marshal([]string(p))
}

// UnmarshalYAML reads a scalar, by its source text, or a list of them.
func (p *Paths) UnmarshalYAML(node ast.Node) error {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		text, err := scalar(node)
		*p = Paths{text}
		return err
	}
	*p = make(Paths, 0, len(list.Values))
	for _, v := range list.Values {
		text, err := scalar(v)
		if err != nil {
			return err
		}
		*p = append(*p, text)
	}
	return nil
}

// MarshalYAML writes a single path as text.
func (p Paths) MarshalYAML() (any, error) {
	if len(p) == 1 {
		return p[0], nil
	}
	return []string(p), nil
}

// MapTo is what a row of response.map gives: another value, or, when Kind is
// set, a target in the syntax of documents ({team: Support}).
type MapTo struct {
	Kind  string // "", user, team, number, external
	Value string
}

// UnmarshalJSON reads a scalar or an object of one field.
func (m *MapTo) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) == 0 || data[0] != '{' {
		text, err := jsonScalar(data)
		*m = MapTo{Value: text}
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if len(fields) != 1 {
		return errMapTarget
	}
	for kind, raw := range fields {
		text, err := jsonScalar(raw)
		if err != nil {
			return err
		}
		*m = MapTo{Kind: kind, Value: text}
	}
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (m MapTo) MarshalJSON() ([]byte, error) {
	if m.Kind == "" {
		return json.Marshal(m.Value)
	}
	return json.Marshal(map[string]string{m.Kind: m.Value})
}

// UnmarshalYAML reads a scalar, by its source text, or a map of one field.
func (m *MapTo) UnmarshalYAML(node ast.Node) error {
	fields, ok := node.(ast.MapNode)
	if !ok {
		text, err := scalar(node)
		*m = MapTo{Value: text}
		return err
	}
	n := 0
	for it := fields.MapRange(); it.Next(); n++ {
		text, err := scalar(it.Value())
		if err != nil {
			return err
		}
		*m = MapTo{Kind: it.Key().String(), Value: text}
	}
	if n != 1 {
		return errMapTarget
	}
	return nil
}

// MarshalYAML writes what UnmarshalYAML reads.
func (m MapTo) MarshalYAML() (any, error) {
	if m.Kind == "" {
		return m.Value, nil
	}
	return map[string]string{m.Kind: m.Value}, nil
}

var errMapTarget = errors.New("a target has exactly one of user, team, number, external, for example {team: 7}")

// scalar is a YAML scalar's source text: 0123 stays 0123.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, nil
	}
	return "", fmt.Errorf("want a text, not %s", node.Type())
}

// jsonScalar is a JSON scalar as text: a string's content, else its source.
func jsonScalar(data []byte) (string, error) {
	data = bytes.TrimSpace(data)
	switch {
	case len(data) == 0, data[0] == '{', data[0] == '[':
		return "", errors.New("want a text")
	case data[0] != '"':
		return string(data), nil
	}
	var s string
	err := json.Unmarshal(data, &s)
	return s, err
}
