package document

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Unmarshaler is a type that reads its own node. It reports faults to d.
type Unmarshaler interface {
	UnmarshalNode(n *Node, pointer string, d *Decoder)
}

// Later is a struct with fields of the specification that this version does not
// carry out: name → the texts that would change nothing and are accepted. An
// empty value is always accepted; anything else is a fault not_in_this_version.
type Later interface {
	Later() map[string][]string
}

// Decoder reads trees into Go values, strictly, and collects faults.
//
// Structs use the tag `yaml:"name"` (with ",inline" for an embedded one);
// strings take a scalar's source text; durations are text with a unit (also d
// for days); everything else must be written as what it is. Maps have text keys.
// Types that read JSON are given every scalar as a string, by its source text.
type Decoder struct {
	Faults Faults
}

// Fault reports one at a place.
func (d *Decoder) Fault(at Place, pointer, code, format string, args ...any) {
	d.Faults.Add(Fault{File: at.File, Line: at.Line, Column: at.Column,
		Pointer: pointer, Code: code, Message: fmt.Sprintf(format, args...)})
}

// Decode reads n into target, a pointer. Pointer is where n stands.
func (d *Decoder) Decode(n *Node, pointer string, target any) {
	d.value(n, pointer, reflect.ValueOf(target).Elem())
}

// Text is a scalar's source text. Null is "".
func (d *Decoder) Text(n *Node, pointer string) (string, bool) {
	switch n.Type {
	case Scalar:
		return n.Text, true
	case Null:
		return "", true
	}
	d.Fault(n.Place, pointer, CodeType, "%s stands where a text is expected", n.Type)
	return "", false
}

var durationType = reflect.TypeFor[time.Duration]()

func (d *Decoder) value(n *Node, pointer string, v reflect.Value) {
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Unmarshaler); ok {
			u.UnmarshalNode(n, pointer, d)
			return
		}
	}
	if n.Type == Null {
		return // as if it were not there
	}
	if v.CanAddr() {
		switch u := v.Addr().Interface().(type) {
		case json.Unmarshaler:
			d.foreign(n, pointer, func() error { return u.UnmarshalJSON(n.texts()) })
			return
		case encoding.TextUnmarshaler:
			if text, ok := d.Text(n, pointer); ok {
				d.foreign(n, pointer, func() error { return u.UnmarshalText([]byte(text)) })
			}
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, pointer, v.Elem())
	case reflect.Struct:
		d.fields(n, pointer, v)
	case reflect.Slice:
		d.list(n, pointer, v)
	case reflect.Map:
		d.table(n, pointer, v)
	case reflect.Interface:
		d.foreign(n, pointer, func() error {
			dec := json.NewDecoder(bytes.NewReader(n.appendJSON(nil)))
			dec.UseNumber()
			return dec.Decode(v.Addr().Interface())
		})
	default:
		d.scalar(n, pointer, v)
	}
}

// Error is what a type's own reading (UnmarshalText, UnmarshalJSON) returns when
// the fault has another code than bad_value.
type Error struct{ Code, Text string }

func (e *Error) Error() string { return e.Text }

// foreign reports what a type's own reading says.
func (d *Decoder) foreign(n *Node, pointer string, read func() error) {
	err := read()
	if err == nil {
		return
	}
	code := CodeValue
	var coded *Error
	if errors.As(err, &coded) {
		code = coded.Code
	}
	d.Fault(n.Place, pointer, code, "%s", err)
}

func (d *Decoder) fields(n *Node, pointer string, v reflect.Value) {
	if n.Type != Map {
		d.Fault(n.Place, pointer, CodeType, "%s stands where fields are expected: %s", n.Type, strings.Join(Names(v.Type()), ", "))
		return
	}
	form := formOf(v.Type())
	for _, f := range n.Fields {
		at := Join(pointer, f.Name)
		index, known := form.fields[f.Name]
		neutral, isLater := form.later[f.Name]
		switch {
		case known:
			d.value(f.Value, at, v.FieldByIndex(index))
		case !isLater:
			d.Fault(f.Place, at, CodeUnknown, "there is no field %q here%s", f.Name, Suggest(f.Name, Names(v.Type())))
		case !f.Value.Empty() && !(f.Value.Type == Scalar && slices.Contains(neutral, f.Value.Text)):
			d.Fault(f.Place, at, CodeNotYet, "%q is not in this version: leave it out", f.Name)
		}
	}
}

// form is what a struct type says about its fields.
type form struct {
	fields map[string][]int // name → where, for reflect's FieldByIndex
	later  map[string][]string
}

var forms sync.Map // reflect.Type → *form; as many as the program has struct types

func formOf(t reflect.Type) *form {
	if f, ok := forms.Load(t); ok {
		return f.(*form)
	}
	f := &form{fields: map[string][]int{}, later: map[string][]string{}}
	f.collect(t, nil)
	forms.Store(t, f)
	return f
}

// collect finds the fields of a struct, of embedded ones too.
func (f *form) collect(t reflect.Type, at []int) {
	if l, ok := reflect.Zero(t).Interface().(Later); ok {
		maps.Copy(f.later, l.Later())
	}
	for i := range t.NumField() {
		index := append(slices.Clip(at), i)
		name, inline, skip := fieldName(t.Field(i))
		switch {
		case skip:
		case inline:
			f.collect(t.Field(i).Type, index)
		default:
			f.fields[name] = index
		}
	}
}

func fieldName(f reflect.StructField) (name string, inline, skip bool) {
	name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	inline = strings.Contains(options, "inline") || f.Anonymous && name == ""
	return name, inline, !f.IsExported() || name == "-" || name == "" && !inline
}

// Names are the fields of a struct type as documents write them, in order.
func Names(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, inline, skip := fieldName(t.Field(i))
		switch {
		case skip:
		case inline:
			names = append(names, Names(t.Field(i).Type)...)
		default:
			names = append(names, name)
		}
	}
	return names
}

func (d *Decoder) list(n *Node, pointer string, v reflect.Value) {
	if n.Type != List {
		d.Fault(n.Place, pointer, CodeType, "%s stands where a list is expected: write [ … ] around it", n.Type)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		d.value(item, Join(pointer, i), list.Index(i))
	}
	v.Set(list)
}

func (d *Decoder) table(n *Node, pointer string, v reflect.Value) {
	if n.Type != Map {
		d.Fault(n.Place, pointer, CodeType, "%s stands where fields (name: value) are expected", n.Type)
		return
	}
	table := reflect.MakeMapWithSize(v.Type(), len(n.Fields))
	for _, f := range n.Fields {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(f.Value, Join(pointer, f.Name), item)
		table.SetMapIndex(reflect.ValueOf(f.Name).Convert(v.Type().Key()), item)
	}
	v.Set(table)
}

func (d *Decoder) scalar(n *Node, pointer string, v reflect.Value) {
	if n.Type != Scalar {
		d.Fault(n.Place, pointer, CodeType, "%s stands where a single value is expected", n.Type)
		return
	}
	switch {
	case v.Kind() == reflect.String:
		v.SetString(n.Text)
	case v.Type() == durationType:
		dur, err := ParseDuration(n.Text)
		if err != nil {
			d.Fault(n.Place, pointer, CodeValue, "%q is no duration: write a number with a unit, for example 30s, 10m, 7d", n.Text)
			return
		}
		v.SetInt(int64(dur))
	case v.Kind() == reflect.Bool:
		if !n.Plain || n.Text != "true" && n.Text != "false" {
			d.Fault(n.Place, pointer, CodeValue, "%q is neither true nor false", n.Text)
			return
		}
		v.SetBool(n.Text == "true")
	case v.CanInt():
		i, err := strconv.ParseInt(n.Text, 10, v.Type().Bits())
		if err != nil || strconv.FormatInt(i, 10) != n.Text {
			d.Fault(n.Place, pointer, CodeValue, "%q is no whole number", n.Text)
			return
		}
		v.SetInt(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(n.Text, 64)
		if err != nil {
			d.Fault(n.Place, pointer, CodeValue, "%q is no number", n.Text)
			return
		}
		v.SetFloat(f)
	default:
		panic("document: cannot decode into " + v.Type().String()) // a programmer's error
	}
}

// ParseDuration reads "30s", "1h30m", "200ms" and days, "365d". A bare number
// other than 0 is none.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > math.MaxInt64/uint64(24*time.Hour) {
			return 0, fmt.Errorf("%q is no duration", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// Bounds of Suggest: a thousand names that are missing must not each be compared
// with a thousand that there are.
const (
	maxCompared = 500
	maxListed   = 20
)

// Suggest says what may have been meant, or what there is.
func Suggest(name string, names []string) string {
	best, at := "", len(name)/2+1
	for _, n := range names[:min(len(names), maxCompared)] {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < at {
			best, at = n, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf(": did you mean %q?", best)
	case len(names) == 0:
		return ""
	}
	if len(names) > maxListed {
		return fmt.Sprintf(": there are %s and %d more", strings.Join(names[:maxListed], ", "), len(names)-maxListed)
	}
	return ": there are " + strings.Join(names, ", ")
}

// distance is how many letters must change to make b of a (Levenshtein); names
// longer than 64 are simply far.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
