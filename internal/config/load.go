package config

import (
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/ringpath/ringpath/internal/document"
)

// Override is a setting given elsewhere than in the file, by a flag.
type Override struct {
	Setting string // "http.listen"
	Text    string // a list's items are separated by commas
	From    string // "--http": what faults name
}

// Prefix of environment variables: http.listen is RINGPATH_HTTP_LISTEN.
const Prefix = "RINGPATH_"

// notSettings are variables of client commands (spec/config.md).
var notSettings = []string{Prefix + "SERVER", Prefix + "API_KEY"}

const maxFile = 1 << 20 // bytes

var typeOfSettings = reflect.TypeFor[Settings]()

// Load reads the settings: overrides over the environment over the file over
// the defaults. An empty path is no file. All faults come at once; the settings
// are of use only when none is more than a warning.
func Load(path string, overrides ...Override) (Settings, document.Faults) {
	root := document.NewMap()
	var faults document.Faults
	if path != "" {
		text, err := read(path)
		if err != nil {
			return Default(), document.Faults{{File: path, Code: document.CodeSyntax, Message: err.Error()}}
		}
		if root, faults = document.Parse(path, text); root == nil || root.Type != document.Map {
			return Default(), append(faults, document.Fault{File: path, Line: 1, Column: 1, Code: document.CodeType, Message: "settings are a set of fields: data, http, sip, …"})
		}
	}
	known := names("", typeOfSettings)
	faults = append(faults, environment(root, known)...)
	for _, o := range overrides {
		put(root, o, known[o.Setting])
	}
	return decode(root, faults)
}

// Parse reads settings from text alone: no environment, no flags.
func Parse(name string, text []byte) (Settings, document.Faults) {
	root, faults := document.Parse(name, text)
	if root == nil {
		return Default(), faults
	}
	return decode(root, faults)
}

func decode(root *document.Node, faults document.Faults) (Settings, document.Faults) {
	s := Default()
	c := &checker{root: root, faults: faults}
	c.level()
	d := document.Decoder{Faults: c.faults}
	d.Decode(root, "", &s)
	c.faults = d.Faults
	c.settings(s)
	c.faults.Sort()
	return s, c.faults
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the settings cannot be read: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the settings cannot be read: %w", err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("the settings have more than %d bytes", maxFile)
	}
	return text, nil
}

// environment puts RINGPATH_* over the file.
func environment(root *document.Node, known map[string]bool) (faults document.Faults) {
	settings := map[string]string{} // variable → setting
	for name := range known {
		settings[Prefix+strings.ToUpper(strings.ReplaceAll(name, ".", "_"))] = name
	}
	for _, pair := range os.Environ() {
		name, text, _ := strings.Cut(pair, "=")
		setting, ok := settings[name]
		switch {
		case ok:
			put(root, Override{Setting: setting, Text: text, From: name}, known[setting])
		case strings.HasPrefix(name, Prefix) && !slices.Contains(notSettings, name):
			faults = append(faults, document.Fault{File: name, Code: document.CodeUnknown, Warning: true,
				Message: "this variable of the environment is no setting" + document.Suggest(name, slices.Sorted(maps.Keys(settings)))})
		}
	}
	return faults
}

// put writes a setting into the tree.
func put(root *document.Node, o Override, isList bool) {
	place := document.Place{File: o.From}
	value := &document.Node{Type: document.Scalar, Text: o.Text, Plain: true, Place: place}
	if isList {
		list := &document.Node{Type: document.List, Place: place}
		for _, item := range strings.Split(o.Text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list.Items = append(list.Items, &document.Node{Type: document.Scalar, Text: item, Place: place})
			}
		}
		value = list
	}
	parts := strings.Split(o.Setting, ".")
	for _, part := range parts[:len(parts)-1] {
		next := root.Get(part)
		if next == nil || next.Type != document.Map {
			next = &document.Node{Type: document.Map, Place: place}
			root.Set(part, next)
		}
		root = next
	}
	root.Set(parts[len(parts)-1], value)
}

// names are all settings, "http.listen", and whether each is a list.
func names(prefix string, t reflect.Type) map[string]bool {
	all := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		name := prefix + f.Tag.Get("yaml")
		if f.Type.Kind() != reflect.Struct {
			all[name] = f.Type.Kind() == reflect.Slice
			continue
		}
		for inner, isList := range names(name+".", f.Type) {
			all[inner] = isList
		}
	}
	return all
}
