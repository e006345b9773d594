package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
)

// Problem is an error of /api (RFC 9457). It says everything that is wrong at
// once, each with the place in what was sent.
type Problem struct {
	Type   string  `json:"type" doc:"A page of the documentation"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Code   string  `json:"code" doc:"The same words as a trace's reasons" example:"not_found"`
	Detail string  `json:"detail"`
	Errors []Fault `json:"errors,omitempty"`
	// Current is what the request would have overwritten unseen.
	Current json.RawMessage `json:"current,omitempty" doc:"With 412: the object as it is"`
}

// Fault is one thing that is wrong with what was sent, and where.
type Fault = document.Fault

// Error is the detail and every fault, one a line.
func (p *Problem) Error() string {
	if len(p.Errors) == 0 {
		return p.Detail
	}
	return p.Detail + "\n" + document.Faults(p.Errors).Error()
}

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, format string, args ...any) *Problem {
	return &Problem{Type: problemPage + code, Title: http.StatusText(status), Status: status, Code: code,
		Detail: fmt.Sprintf(format, args...)}
}

// problemPage is where the codes are explained.
const problemPage = "/docs/api#"

// problemOf turns any error into an answer; ours are logged, not shown.
func (s *Server) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	kind := phone.KindOf(err)
	if kind == phone.Internal && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "request failed", "err", err)
	}
	return problem(statusOf(kind), string(kind), "%s", phone.TextOf(err))
}

// ownProblems is a huma.Transformer: huma's findings about a request become
// problems as everything else.
func ownProblems(_ huma.Context, _ string, body any) (any, error) {
	m, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	p := problem(m.Status, codeOfStatus(m.Status), "%s", m.Detail)
	for _, e := range m.Errors {
		if e != nil {
			p.Errors = append(p.Errors, Fault{Pointer: pointer(e.Location), Code: "invalid", Message: e.Message})
		}
	}
	return p, nil
}

// codeOfStatus names what huma refuses by itself.
func codeOfStatus(status int) string {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusUnsupportedMediaType, http.StatusNotAcceptable:
		return "media_type"
	case http.StatusInternalServerError:
		return string(phone.Internal)
	}
	return string(phone.Invalid)
}

// pointer writes huma's "body.items[3].name" as RFC 6901, "/items/3/name".
// Other places stand before it: "query.limit" is "?limit".
func pointer(location string) string {
	if name, ok := strings.CutPrefix(location, "query."); ok {
		return "?" + name
	}
	location = strings.TrimPrefix(strings.TrimPrefix(location, "body"), ".")
	if location == "" {
		return ""
	}
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(location)
}

// writeProblem answers where huma is not reached.
func writeProblem(w http.ResponseWriter, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
