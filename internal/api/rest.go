package api

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ringpath/ringpath/internal/access"
	"github.com/ringpath/ringpath/internal/flow"
)

// maxRESTBody bounds a document sent to /api: thousands of users fit.
const maxRESTBody = 8 << 20

// operation is one row of /api.
type operation struct {
	Method, Path, Summary, About string
	Scope                        access.Scope
	Tag                          string
	Status                       int // of success; 0: 200
	MaxBody                      int64
	Body                         *huma.RequestBody // where the body is no plain JSON
	Responses                    map[string]*huma.Response
}

// rest mounts /api and its description.
func (s *Server) rest(mux *http.ServeMux) {
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Ringpath", Version: s.Version,
				Description: "The program's own API: everything that its command line does goes through it. Durations are text with a unit (30s), times RFC 3339.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "basic", Description: "An API key: its id and its token."},
				},
			},
		},
		Formats:       huma.DefaultFormats,
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{ownProblems},
	}
	if s.PublicURL != "" {
		config.Servers = []*huma.Server{{URL: s.base()}}
	}
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[flow.Span](), reflect.TypeFor[string]())
	h := humago.New(mux, config)
	s.directoryOperations(h)
	s.lookupOperations(h)
	s.keyOperations(h)
	s.callOperations(h)
	s.privacyOperations(h)
	s.healthOperations(h)

	tidy(h.OpenAPI())
	open(h.OpenAPI())
	document, err := json.Marshal(h.OpenAPI())
	if err != nil {
		panic(err) // made of plain structs
	}
	mux.HandleFunc("GET /api/openapi.json", serveBytes("application/vnd.oai.openapi+json;version=3.1", document))
	mux.HandleFunc("GET /docs/api", serveBytes(htmlType, render("api.html", apiPage(h.OpenAPI()))))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, problem(http.StatusNotFound, "not_found", "there is no such path, or not with this method: see /docs/api"))
	})
}

// add registers an operation: the door, what it answers, and what goes wrong.
func add[I, O any](s *Server, h huma.API, o operation, handle func(context.Context, *I) (*O, error)) {
	op := huma.Operation{
		OperationID: operationID(o.Method, o.Path), Method: o.Method, Path: o.Path,
		Summary: o.Summary, Description: o.About + "\n\nScope: `" + string(o.Scope) + "`.",
		Tags: []string{o.Tag}, DefaultStatus: o.Status, MaxBodyBytes: o.MaxBody, RequestBody: o.Body,
		Security:  []map[string][]string{{"key": {}}},
		Responses: o.Responses,
		// A body that is described by hand is a document: its package checks it.
		SkipValidateBody: o.Body != nil,
		Metadata:         map[string]any{"scope": string(o.Scope)},
		Middlewares:      huma.Middlewares{s.door(o.Scope)},
	}
	if op.MaxBodyBytes == 0 {
		op.MaxBodyBytes = 1 << 20
	}
	if o.Method == http.MethodPost {
		op.Middlewares = append(op.Middlewares, s.once.middleware)
		op.Parameters = append(op.Parameters, &huma.Param{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: new(maxOnceKey)},
			Description: "Any text that is new for each request, at most 255 characters: a repetition within 24 hours does nothing and gets the first answer. A restart forgets it."})
	}
	huma.Register(h, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		var with huma.HeadersError
		if errors.As(err, &with) {
			return nil, huma.ErrorWithHeaders(s.problemOf(ctx, err), with.GetHeaders())
		}
		return nil, s.problemOf(ctx, err)
	})
}

// door lets only those in who have the scope.
func (s *Server) door(scope access.Scope) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		who, err := s.signIn(r, scope)
		if err != nil {
			s.refuse(w, r, scope, err)
			return
		}
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			r.Header.Del("Content-Type") // curl -d says so of everything; there are no forms here
		}
		next(huma.WithValue(ctx, identityKey, who))
	}
}

// tidy takes out of the description what is not so: bodies that are documents
// are no octet streams.
func tidy(doc *huma.OpenAPI) {
	for op := range operations(doc) {
		if op.RequestBody != nil {
			delete(op.RequestBody.Content, "application/octet-stream")
		}
		for _, r := range op.Responses {
			delete(r.Content, "application/octet-stream")
		}
	}
}

// open lets answers grow: a field that is added later must not break a client
// that checks them. What is sent stays closed, and is checked to be.
func open(doc *huma.OpenAPI) {
	sent := map[*huma.Schema]bool{}
	for op := range operations(doc) {
		if op.RequestBody != nil {
			eachSchema(doc, op.RequestBody.Content, sent, func(*huma.Schema) {})
		}
	}
	for op := range operations(doc) {
		for _, r := range op.Responses {
			eachSchema(doc, r.Content, sent, func(s *huma.Schema) {
				if s.AdditionalProperties == false {
					s.AdditionalProperties = nil
				}
			})
		}
	}
}

// eachSchema visits the schemas of bodies that are not in seen yet.
func eachSchema(doc *huma.OpenAPI, content map[string]*huma.MediaType, seen map[*huma.Schema]bool, visit func(*huma.Schema)) {
	var walk func(*huma.Schema)
	walk = func(s *huma.Schema) {
		if s != nil && s.Ref != "" {
			s = doc.Components.Schemas.SchemaFromRef(s.Ref)
		}
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		visit(s)
		walk(s.Items)
		for _, p := range s.Properties {
			walk(p)
		}
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			walk(values)
		}
	}
	for _, m := range content {
		walk(m.Schema)
	}
}

func operations(doc *huma.OpenAPI) iter.Seq[*huma.Operation] {
	return func(yield func(*huma.Operation) bool) {
		for _, item := range doc.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Patch, item.Delete} {
				if op != nil && !yield(op) {
					return
				}
			}
		}
	}
}

// operationID is "get-api-calls-id": stable as long as the path is.
func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.ToLower(method+path), func(r rune) bool { return strings.ContainsRune("/{}.", r) })
	return strings.Join(words, "-")
}
