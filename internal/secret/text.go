package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is what is shown instead of a secret.
const Mask = "••••"

// Text is a secret in memory. Every way of printing or encoding it gives Mask,
// so that a secret in a struct that is logged stays a secret; only Reveal gives
// it away. There is no decoding: a masked text that is read back would become
// the secret. The zero Text is the empty secret.
type Text struct{ s string }

// New makes a secret of s.
func New(s string) Text { return Text{s: s} }

// Reveal is the secret itself. Never print, log or store what it returns.
func (t Text) Reveal() string { return t.s }

// Empty says that there is no secret.
func (t Text) Empty() bool { return t.s == "" }

// String is Mask, as everything below.
func (t Text) String() string { return Mask }

// GoString serves %#v.
func (t Text) GoString() string { return Mask }

// Format serves every verb of fmt, %x and %q included.
func (t Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, Mask) }

// LogValue serves log/slog.
func (t Text) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalText serves encoders in general.
func (t Text) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalJSON serves encoding/json.
func (t Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalYAML serves YAML encoders.
func (t Text) MarshalYAML() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }
