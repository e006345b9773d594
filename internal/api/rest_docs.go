package api

import (
	"cmp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// apiPageData fills pages/api.html.
type apiPageData struct {
	Groups   []group[apiPageOperation]
	Problems []problemHelp
}

type apiPageOperation struct {
	Anchor, Method, Path, Scope, Title, About string
	Params                                    []param
	Sent, Answered                            []param // fields of the JSON bodies
	Media                                     string  // of what is sent, when it is not only JSON
	tag                                       string
}

// apiPage makes the readable page from the OpenAPI document.
func apiPage(doc *huma.OpenAPI) apiPageData {
	data := apiPageData{Problems: problemHelps}
	var all []apiPageOperation
	f := fields{schemas: doc.Components.Schemas}
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete, "PATCH": item.Patch,
		} {
			if op != nil {
				all = append(all, f.operation(method, path, op))
			}
		}
	}
	slices.SortFunc(all, func(a, b apiPageOperation) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	for _, o := range all {
		data.Groups = addTo(data.Groups, o.tag, o)
	}
	return data
}

// fields lists what JSON bodies hold.
type fields struct {
	schemas huma.Registry
}

func (f fields) operation(method, path string, op *huma.Operation) apiPageOperation {
	o := apiPageOperation{
		Anchor: op.OperationID, Method: method, Path: path, Title: op.Summary, tag: op.Tags[0],
	}
	o.Scope, _ = op.Metadata["scope"].(string)
	o.About, _, _ = strings.Cut(strings.ReplaceAll(op.Description, "`", ""), "\n\n") // the scope stands beside
	for _, p := range op.Parameters {
		o.Params = append(o.Params, param{p.Name, p.In, f.typeName(p.Schema), aboutOf(p.Schema, p.Description)})
	}
	if op.RequestBody != nil {
		o.Sent, o.Media = f.body(op.RequestBody.Content)
	}
	for _, status := range []string{"200", "201"} {
		if r := op.Responses[status]; r != nil {
			o.Answered, _ = f.body(r.Content)
		}
	}
	return o
}

// body lists the fields of a JSON body, and all media types when there are several.
func (f fields) body(content map[string]*huma.MediaType) (list []param, media string) {
	if m := content["application/json"]; m != nil {
		f.collect(&list, "", m.Schema, 0)
	}
	if len(content) > 1 {
		names := []string{}
		for name := range content {
			names = append(names, name)
		}
		slices.Sort(names)
		media = strings.Join(names, ", ")
	}
	return list, media
}

// maxFieldDepth is how deep bodies are taken apart on the page.
const maxFieldDepth = 4

func (f fields) collect(list *[]param, prefix string, s *huma.Schema, depth int) {
	if s = f.resolve(s); s == nil || depth > maxFieldDepth {
		return
	}
	if s.Type == huma.TypeArray {
		f.collect(list, prefix+"[]", s.Items, depth)
		return
	}
	names := make([]string, 0, len(s.Properties))
	for name := range s.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p := s.Properties[name]
		full := strings.TrimPrefix(prefix+"."+name, ".")
		need := ""
		if slices.Contains(s.Required, name) {
			need = "always"
		}
		*list = append(*list, param{full, need, f.typeName(p), aboutOf(p, p.Description)})
		f.collect(list, full, p, depth+1)
	}
}

func (f fields) resolve(s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return f.schemas.SchemaFromRef(s.Ref)
	}
	return s
}

func (f fields) typeName(s *huma.Schema) string {
	if s = f.resolve(s); s == nil {
		return "any"
	}
	switch {
	case s.Type == huma.TypeArray:
		return "list of " + f.typeName(s.Items)
	case s.Format == "date-time":
		return "time"
	case s.Type == huma.TypeString:
		return "text"
	}
	return cmp.Or(s.Type, "any")
}

// aboutOf adds the values that a field may have to its description.
func aboutOf(s *huma.Schema, about string) string {
	if s == nil || len(s.Enum) == 0 {
		return about
	}
	values := make([]string, 0, len(s.Enum))
	for _, v := range s.Enum {
		if text, ok := v.(string); ok {
			values = append(values, text)
		}
	}
	if about == "" {
		return strings.Join(values, ", ")
	}
	return about + " (" + strings.Join(values, ", ") + ")"
}

// problemHelp explains one code of a problem.
type problemHelp struct {
	Code, Status, Cause, Remedy string
}

var problemHelps = []problemHelp{
	{"invalid", "400, 422", "Something in the request is wrong.", "Read errors: each says where and what would be right."},
	{"media_type", "406, 415", "The body or the wanted answer has a type that is not served here.", "Send application/json, or application/yaml where a document is taken."},
	{"too_large", "413", "The body is larger than this endpoint takes.", "Send less at once."},
	{"unauthorized", "401", "The request has no API key.", "Send HTTP Basic with the key's id and token, or use the socket in the data directory."},
	{"denied", "403", "The key is unknown, was revoked, or its token is wrong.", "Compare the id with `ringpath apikey list`; a lost token needs a new key."},
	{"scope", "403", "The key is good but lacks the scope.", "Make a key with the scope that detail names."},
	{"cross_origin", "403", "A page of another site, open in a browser, sent the request.", "Send it from a program, or from a page of this server."},
	{"not_found", "404", "There is no such path or thing.", "Compare the path with this page, and the id with the list."},
	{"confirm", "409", "The lookup is a POST that is not marked idempotent: trying it may change something at the other end.", "Send confirm: true if that is wanted."},
	{"conflict", "409", "The thing has changed meanwhile.", "Read it again, then repeat."},
	{"revision", "412", "The thing has changed since the ETag in If-Match; current has it as it is.", "Look at it again, then repeat; If-Match: * takes any."},
	{"idempotency_key", "422", "The Idempotency-Key was sent before, with another body.", "Make a new one for each request that is not a repetition."},
	{"in_progress", "409", "The first request with this Idempotency-Key is not answered yet.", "Wait, then repeat it."},
	{"if_match", "428", "The request changes something and does not say what it has seen.", "Send If-Match with the ETag of the last answer, or * for any."},
	{"too_many_wrong_keys", "429", "30 wrong keys came from this address within a minute.", "Wait a minute; check the id and the token."},
	{"busy", "429", "A limit is reached.", "Try again later."},
	{"unreachable", "502", "Another system does not answer.", "detail says which."},
	{"timeout", "504", "It took too long.", "Try again; /api/health may say more."},
	{"internal", "500", "A fault of the program or of its disk.", "Look into the server's log at that second; please report it."},
}
