package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func TestTextHidesItself(t *testing.T) {
	const plain = "hunter2-hunter2"
	type holder struct {
		Name string
		Text Text
		Ptr  *Text
		List []Text
		Map  map[string]Text
	}
	s := New(plain)
	h := holder{Name: "agent", Text: s, Ptr: &s, List: []Text{s}, Map: map[string]Text{"a": s}}

	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("test", "holder", h, "text", s, "ptr", &s)
	}
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	asKey, err := json.Marshal(map[Text]int{s: 1})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"log": logged.String(), "json": string(asJSON), "yaml": string(asYAML), "key": string(asKey)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x"} {
		shown[verb] = fmt.Sprintf(verb, h) + fmt.Sprintf(verb, s) + fmt.Sprintf(verb, []any{s})
	}
	for how, text := range shown {
		if strings.Contains(text, plain) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", plain)) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
		if !strings.Contains(text, Mask) {
			t.Errorf("%s does not show the mask: %s", how, text)
		}
	}
	if got := s.Reveal(); got != plain {
		t.Errorf("Reveal: got %q, want %q", got, plain)
	}
	if s.Empty() || !New("").Empty() {
		t.Error("Empty: want false for a secret, true for none")
	}
}
