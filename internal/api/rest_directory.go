package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/phone"
)

const yamlType = "application/yaml" // RFC 9512

type exportInput struct {
	Accept string `header:"Accept" doc:"application/yaml for YAML; else JSON"`
}

type exportOutput struct {
	ContentType string `header:"Content-Type"`
	ETag        string `header:"ETag" doc:"The revision"`
	Body        []byte
}

// PlanInput is a document that is sent.
type PlanInput struct {
	Name    string `query:"name" maxLength:"200" doc:"The document's file name, for faults"`
	Prune   bool   `query:"prune" doc:"Also remove what the document's sections do not name"`
	RawBody []byte
}

type applyInput struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the directory that the document was made for; * for any"`
	PlanInput
}

type planOutput struct {
	ETag string `header:"ETag" doc:"The revision"`
	Body directory.Plan
}

func (s *Server) directoryOperations(h huma.API) {
	document := map[string]*huma.MediaType{
		yamlType:           {Schema: &huma.Schema{Type: huma.TypeObject, Description: "A directory document"}},
		"application/json": {Schema: &huma.Schema{Type: huma.TypeObject, Description: "A directory document"}},
	}
	sent := func() *huma.RequestBody { return &huma.RequestBody{Required: true, Content: document} }
	add(s, h, operation{Method: http.MethodGet, Path: "/api/directory", Scope: access.APIRead, Tag: "directory",
		Summary: "Export the directory", About: "Everything that is set up, as a document; secrets are {stored: true}.",
		Responses: map[string]*huma.Response{"200": {Description: "The document", Content: document}}}, s.exportDirectory)
	add(s, h, operation{Method: http.MethodPost, Path: "/api/directory/plan", Scope: access.APIWrite, Tag: "directory",
		Summary: "Plan a document", About: "What applying it would change. Nothing changes.",
		MaxBody: maxRESTBody, Body: sent()}, s.planDirectory)
	add(s, h, operation{Method: http.MethodPut, Path: "/api/directory", Scope: access.APIWrite, Tag: "directory",
		Summary: "Apply a document", About: "Whole or not at all. What the document does not name stays as it is, unless prune is set. Secrets come as values: env and file are read by the command that sends the document, never by the server.",
		MaxBody: maxRESTBody, Body: sent()}, s.applyDirectory)
}

func (s *Server) exportDirectory(ctx context.Context, in *exportInput) (*exportOutput, error) {
	doc, err := s.Directory.Export(ctx)
	if err != nil {
		return nil, err
	}
	out := &exportOutput{ETag: etag(s.Directory.Snapshot().Rev())}
	if strings.Contains(in.Accept, "yaml") {
		out.ContentType = yamlType
		out.Body, err = doc.YAML()
		return out, err
	}
	out.ContentType = "application/json"
	out.Body, err = doc.JSON()
	return out, err
}

func (s *Server) planDirectory(ctx context.Context, in *PlanInput) (*planOutput, error) {
	return s.change(ctx, s.Directory.Plan, in, 0)
}

func (s *Server) applyDirectory(ctx context.Context, in *applyInput) (*planOutput, error) {
	rev, wildcard, err := revisionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if now := s.Directory.Snapshot().Rev(); rev == 0 && !wildcard && now != 0 {
		return nil, s.errRevision(ctx) // to Apply, 0 is any revision
	}
	out, err := s.change(ctx, s.Directory.Apply, &in.PlanInput, rev)
	if err != nil && phone.KindOf(err) == phone.Conflict {
		return nil, s.errRevision(ctx)
	}
	if err == nil {
		s.logChange(ctx, out.Body, signedIn(ctx))
	}
	return out, err
}

// logChange says who changed the directory, if they did.
func (s *Server) logChange(ctx context.Context, plan directory.Plan, by identity) {
	if len(plan.Changes) > 0 {
		s.log.InfoContext(ctx, "directory changed", "revision", plan.Revision, "changes", len(plan.Changes), "by", by)
	}
}

// errRevision refuses a document that was made for another directory than this.
func (s *Server) errRevision(ctx context.Context) error {
	now := s.Directory.Snapshot().Rev()
	p := problem(http.StatusPreconditionFailed, "revision", "the directory is at revision %d by now: plan again", now)
	doc, err := s.Directory.Export(ctx)
	if err != nil {
		return err
	}
	if p.Current, err = doc.JSON(); err != nil {
		return err
	}
	return huma.ErrorWithHeaders(p, http.Header{"Etag": {etag(now)}})
}

type planFunc func(context.Context, directory.Document, directory.ApplyOptions) (directory.Plan, error)

// change plans or applies the document that was sent.
func (s *Server) change(ctx context.Context, do planFunc, in *PlanInput, rev int64) (*planOutput, error) {
	doc, faults := directory.Parse(in.Name, bytes.Clone(in.RawBody), nil)
	if faults.Fatal() {
		return nil, faultsProblem(faults)
	}
	plan, err := do(ctx, doc, directory.ApplyOptions{Prune: in.Prune, Revision: rev})
	if errors.As(err, &faults) {
		return nil, faultsProblem(faults)
	}
	if err != nil {
		return nil, err
	}
	if plan.Changes == nil {
		plan.Changes = []directory.Diff{}
	}
	return &planOutput{ETag: etag(plan.Revision), Body: plan}, nil
}

// faultsProblem tells all that is wrong with a document.
func faultsProblem(faults document.Faults) *Problem {
	n := 0
	for _, f := range faults {
		if !f.Warning {
			n++
		}
	}
	text := strconv.Itoa(n) + " faults"
	if n == 1 {
		text = "1 fault"
	}
	p := problem(http.StatusUnprocessableEntity, string(phone.Invalid), "the document has %s; nothing was changed", text)
	p.Errors = faults
	return p
}

// invalidAt is a problem with one fault.
func invalidAt(pointer, message string) *Problem {
	p := problem(http.StatusUnprocessableEntity, string(phone.Invalid), "%s: %s", strings.TrimLeft(pointer, "/?"), message)
	p.Errors = []Fault{{Pointer: pointer, Code: string(phone.Invalid), Message: message}}
	return p
}

func etag(rev int64) string { return `"` + strconv.FormatInt(rev, 10) + `"` }

// matches says whether If-Match (RFC 9110 §13.1.1) lets a thing be changed that
// has tag now.
func matches(ifMatch, tag string, now any) error {
	if strings.TrimSpace(ifMatch) == "" {
		return problem(http.StatusPreconditionRequired, "if_match", "say what you have seen: If-Match with the ETag of the last answer, or * for any")
	}
	for t := range strings.SplitSeq(ifMatch, ",") {
		if t = strings.TrimSpace(t); t == "*" || t == tag {
			return nil
		}
	}
	p := problem(http.StatusPreconditionFailed, "revision", "it has changed since: read it again")
	var err error
	if p.Current, err = json.Marshal(now); err != nil {
		return err
	}
	return huma.ErrorWithHeaders(p, http.Header{"Etag": {tag}})
}

// revisionOf reads If-Match (RFC 9110 §13.1.1); the wildcard is any revision.
func revisionOf(ifMatch string) (rev int64, wildcard bool, err error) {
	switch ifMatch = strings.TrimSpace(ifMatch); ifMatch {
	case "":
		return 0, false, problem(http.StatusPreconditionRequired, "if_match", "say which directory the document was made for: If-Match with its ETag, or * for any")
	case "*":
		return 0, true, nil
	}
	rev, err = strconv.ParseInt(strings.Trim(ifMatch, `"`), 10, 64)
	if err != nil || rev < 0 {
		return 0, false, problem(http.StatusPreconditionFailed, "revision", "If-Match is no ETag of this directory")
	}
	return rev, false, nil
}
