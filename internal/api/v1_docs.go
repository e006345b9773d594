package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

var pageTemplates = template.Must(template.New("").ParseFS(pageFiles, "pages/*.html"))

// pages serves the documentation: made once, from the tables in code.
func (s *Server) pages(mux *http.ServeMux) {
	style, err := pageFiles.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // embedded at build time
	}
	mux.HandleFunc("GET /docs/style.css", serveBytes("text/css; charset=utf-8", style))
	mux.HandleFunc("GET /docs/v1", serveBytes(htmlType, render("v1.html", v1Page(s.base()))))
	mux.Handle("GET /docs/{$}", http.RedirectHandler("/docs/v1", http.StatusFound))
}

const htmlType = "text/html; charset=utf-8"

func serveBytes(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	}
}

// render fills a page; a template that does not fit its struct is a fault of
// the program, found by the first test.
func render(name string, data any) []byte {
	var b bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&b, name, data); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// v1PageData fills pages/v1.html.
type v1PageData struct {
	Base   string
	Groups []group[v1PageEndpoint]
	Errors []errorHelp
}

// group is a chapter of a page: what is about the same resource.
type group[T any] struct {
	Anchor, Title string
	Operations    []T
}

// addTo puts an operation into the chapter of its resource, the first of which
// begins it.
func addTo[T any](groups []group[T], resource string, operation T) []group[T] {
	anchor := "about-" + resource // an operation may be called as its resource
	i := slices.IndexFunc(groups, func(g group[T]) bool { return g.Anchor == anchor })
	if i < 0 {
		i = len(groups)
		groups = append(groups, group[T]{Anchor: anchor, Title: strings.ToUpper(resource[:1]) + resource[1:]})
	}
	groups[i].Operations = append(groups[i].Operations, operation)
	return groups
}

type v1PageEndpoint struct {
	Anchor, Method, Path, Scope, Title, About string
	Params                                    []param
	Request                                   string // an example, for curl
	Status                                    int
	Answer                                    string // JSON; empty: no body
}

func v1Page(base string) v1PageData {
	v := exampleView(base)
	data := v1PageData{Base: base, Errors: v1Errors}
	for _, e := range endpoints() {
		p := v1PageEndpoint{
			Anchor: anchorOf(e.Title), Method: e.Method, Path: docPath(e.Path), Scope: string(e.Scope),
			Title: e.Title, About: e.About, Params: e.Params, Status: e.status(), Request: curl(base, &e),
		}
		if e.Example != nil {
			p.Answer = indented(e.Example(v))
		}
		data.Groups = addTo(data.Groups, strings.Split(e.Path, "/")[2], p)
	}
	return data
}

// docPath writes a path's parameters as readers of REST documentation expect: /v1/users/:id.
func docPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// curl is a request that a reader can run.
func curl(base string, e *endpoint) string {
	path := strings.NewReplacer("{id}", "1", "{user_id}", "456").Replace(e.Path)
	if e.Path == "/v1/calls/search" {
		path += "?" + url.Values{"order": {"desc"}, "phone_number": {"+14155550123"}}.Encode()
	}
	text := "curl -u \"$ID:$TOKEN\" "
	if e.Method != http.MethodGet {
		text += "-X " + e.Method + " "
	}
	if e.Body != "" {
		text += "-d '" + e.Body + "' "
	}
	return text + "'" + base + path + "'"
}

func anchorOf(title string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.ToLower(title)), "-")
}

func indented(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err) // examples are made of plain structs
	}
	return strings.TrimSpace(b.String())
}

// errorHelp explains one answer that is no success. Lookup traces link to it.
type errorHelp struct {
	Anchor, Status, Body, Cause, Remedy string
}

var v1Errors = []errorHelp{
	{"error-400", "400", `{"error":"Bad Request","troubleshoot":"…"}`,
		"A parameter or the body is wrong: a value of order other than asc and desc, an empty phone_number, milliseconds where seconds are wanted, a page beyond 10,000 records.",
		"Read troubleshoot: it names the field and what would be right. Write the plus of a phone number as %2B."},
	{"error-401", "401", `{"message":"Unauthorized"}`,
		"The request has no credential.",
		"Send HTTP Basic with the API key's id as user name and its token as password. In a lookup: choose a credential of type basic."},
	{"error-403", "403", `{"message":"Forbidden"}`,
		"The id or the token is wrong, the key was revoked, or it lacks the scope that the endpoint wants.",
		"Compare the id with `ringpath apikey list`. A token is shown once: if it is lost, make a new key. Writing needs the scope v1:write."},
	{"error-404", "404", `{"message":"Not Found"} or {"error":"Not Found","troubleshoot":"…"}`,
		"With message: there is no such endpoint in this version. With troubleshoot: the endpoint exists, the id in its path does not.",
		"Compare the path with this page. Ids are never used twice: somebody may have been deleted."},
	{"error-405", "405", `{"error":"Method Not Allowed","troubleshoot":"…"}`,
		"The state of the thing does not allow it, for example a user who is not available.",
		"Ask for the state first, then try again."},
	{"error-413", "413", `{"error":"Request Entity Too Large","troubleshoot":"…"}`,
		"The body is larger than 64 KiB.", "Send only the fields that change."},
	{"error-422", "422", `{"error":"Unprocessable Entity","troubleshoot":"…"}`,
		"The body is well-formed, but it cannot be done: an e-mail that somebody else has, a user whom a flow still names, a field that this version does not carry out.",
		"Read troubleshoot: it says what stands against it."},
	{"error-429", "429", `{"error":"Too Many Requests","troubleshoot":"…"}`,
		"The key has used its requests of the running minute, or 30 wrong keys came from this address within a minute.",
		"Wait until X-AircallApi-Reset (UNIX seconds). The limit is v1.rate_per_min in the settings. The server's own lookups are not limited."},
	{"error-500", "500", `{"error":"Internal Server Error","troubleshoot":"…"}`,
		"A fault of this program or of its disk.", "Look into the server's log at that second; please report it."},
}
