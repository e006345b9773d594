// Package internal_test holds what must be true of the whole tree: who may
// import whom, and that tests do not sleep.
package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ringpath/ringpath"

// layers is the architecture: a package imports only packages of a lower layer.
// Interfaces are declared by the package that uses them, so that the arrow
// always points down. A new package gets a row before it gets a second file.
var layers = map[string]int{
	".": 0, // the example files, embedded

	"internal/phone":    0, // the vocabulary; imports nothing of ours
	"internal/secret":   0, // may import phone
	"internal/outbound": 0, // may import phone

	"internal/lookup":   1,
	"internal/presence": 1,
	"internal/ring":     1,
	"internal/bridge":   1,
	"internal/record":   1,
	"internal/document": 1, // YAML and JSON trees with places; knows nothing of what they say

	"internal/flow":      2,
	"internal/directory": 3,
	"internal/exchange":  4, // up to here the heart: no SIP, no HTTP server, no SQL

	"internal/media":     5,
	"internal/registrar": 5,
	"internal/access":    5,
	"internal/notify":    5,

	"internal/sip/stack": 5, // the few files in front of sipgo
	"internal/sip":       6,
	"internal/softphone": 7,

	"internal/standin": 8,
	"internal/store":   8,
	"internal/api":     8,
	"internal/web":     8,
	"internal/config":  8,

	"internal/app":  9, // the only place that turns settings into parts
	"internal/demo": 10,

	"cmd/ringpath": 11,
	"e2e":          11,
	"bench/calls":  11,
	"bench/relay":  11,
}

// support is test support: only test files and other test support import it. The
// number is the layer that its own imports stay below.
var support = map[string]int{
	"internal/simnet":          1,
	"internal/phonetest":       2,
	"internal/store/storetest": 8,
}

// withinLayer are the imports inside a layer that the design allows by name.
var withinLayer = map[string][]string{
	"internal/secret":   {"internal/phone"},
	"internal/outbound": {"internal/phone"},
}

// withinTests are the imports inside a layer that only the test files of a package
// make, because the real thing is better than a fake of it.
var withinTests = map[string][]string{
	"internal/ring": {"internal/presence"}, // claims are half of what a fork is about
	"internal/api":  {"internal/store"},    // real SQLite, never a mocked database
}

// heart never imports these, whatever its layer says: it must run without
// telephony, without a web server and without a database.
var (
	heart      = 4 // highest layer of it
	notInHeart = []string{"github.com/emiago/sipgo", "database/sql", "modernc.org/sqlite", "github.com/danielgtaylor/huma"}
)

func TestLayers(t *testing.T) {
	for _, f := range goFiles(t) {
		from := f.pkg
		layer, ok := layerOf(from)
		if !ok {
			t.Errorf("%s: package %s has no row in the table of internal/layout_test.go: say which layer it is in (ARCHITECTURE, layers)", f.path, from)
			continue
		}
		for _, imp := range f.imports {
			if why := refuse(from, layer, imp, f.test); why != "" {
				t.Errorf("%s: imports %s: %s", f.path, strings.TrimPrefix(imp, module+"/"), why)
			}
		}
	}
}

// refuse says why a file of package from may not import imp, or nothing.
func refuse(from string, layer int, imp string, test bool) string {
	inSupport := has(support, from)
	if imp == "testing" || strings.HasPrefix(imp, "testing/") {
		if test || inSupport {
			return ""
		}
		return "testing is for tests and test support; production code must not carry it"
	}
	if layer <= heart && !test && !inSupport {
		for _, bad := range notInHeart {
			if imp == bad || strings.HasPrefix(imp, bad+"/") {
				return "the heart (layers 0 to " + strconv.Itoa(heart) + ") knows no SIP, no HTTP API and no SQL; declare an interface where it is used and implement it above"
			}
		}
	}
	to, ours := strings.CutPrefix(imp, module+"/")
	if !ours || to == from {
		return "" // a foreign package, or an external test of the package itself
	}
	return refuseOurs(from, layer, to, test || inSupport)
}

func refuseOurs(from string, layer int, to string, test bool) string {
	if has(support, to) {
		if test {
			return ""
		}
		return "test support is for tests only"
	}
	toLayer, ok := layers[to]
	switch {
	case !ok:
		return "that package has no row in the table of internal/layout_test.go"
	case toLayer < layer, slices.Contains(withinLayer[from], to), test && slices.Contains(withinTests[from], to):
		return ""
	}
	return from + " is layer " + strconv.Itoa(layer) + ", that is layer " + strconv.Itoa(toLayer) +
		": a package imports only lower layers; declare the interface here and let internal/app pass the implementation in"
}

func layerOf(pkg string) (int, bool) {
	if l, ok := layers[pkg]; ok {
		return l, true
	}
	if l, ok := support[pkg]; ok {
		return l, true
	}
	return 0, pkg == "internal" // this file's own package
}

// TestSleep refuses time.Sleep in tests of packages: outside a synctest bubble it
// makes a test slow or wrong, and mostly both. A package whose tests use bubbles is
// trusted to sleep in them. e2e and bench talk to other processes and are free.
func TestSleep(t *testing.T) {
	files := goFiles(t)
	bubbles := map[string]bool{}
	for _, f := range files {
		if f.test && slices.Contains(f.imports, "testing/synctest") {
			bubbles[f.pkg] = true
		}
	}
	for _, f := range files {
		if f.test && f.sleeps && strings.HasPrefix(f.pkg, "internal/") && !bubbles[f.pkg] {
			t.Errorf("%s: time.Sleep in a package whose tests do not use testing/synctest: wait for what you need, or use a bubble", f.path)
		}
	}
}

// TestRefuse shows that the table bites.
func TestRefuse(t *testing.T) {
	ours := func(p string) string { return module + "/" + p }
	tests := []struct {
		name    string
		from    string
		imp     string
		test    bool
		refused bool
	}{
		{"downwards", "internal/flow", ours("internal/lookup"), false, false},
		{"upwards", "internal/ring", ours("internal/flow"), false, true},
		{"sideways", "internal/ring", ours("internal/presence"), false, true},
		{"sideways in a test", "internal/ring", ours("internal/bridge"), true, true},
		{"the pair that a test may import", "internal/ring", ours("internal/presence"), true, false},
		{"the one pair inside layer 0", "internal/outbound", ours("internal/phone"), false, false},
		{"phone imports nothing", "internal/phone", ours("internal/secret"), false, true},
		{"no row", "internal/flow", ours("internal/util"), false, true},
		{"own external test", "internal/flow", ours("internal/flow"), true, false},
		{"test support in a test", "internal/sip", ours("internal/simnet"), true, false},
		{"test support in production", "internal/sip", ours("internal/simnet"), false, true},
		{"testing in production", "internal/sip", "testing", false, true},
		{"testing in a test", "internal/sip", "testing/synctest", true, false},
		{"testing in test support", "internal/store/storetest", "testing", false, false},
		{"SIP in the heart", "internal/exchange", "github.com/emiago/sipgo/sip", false, true},
		{"SIP above the heart", "internal/sip", "github.com/emiago/sipgo/sip", false, false},
		{"standard library", "internal/phone", "time", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			layer, _ := layerOf(tt.from)
			why := refuse(tt.from, layer, tt.imp, tt.test)
			if got := why != ""; got != tt.refused {
				t.Errorf("refuse(%s imports %s, test %v) = %q, want refused %v", tt.from, tt.imp, tt.test, why, tt.refused)
			}
		})
	}
}

// TestSizes measures and tells; it fails nothing. A file over 500 lines or a
// function over 60 is a smell: it wants a comment that says why, or a split.
func TestSizes(t *testing.T) {
	const maxFile, maxFunc = 500, 60
	for _, f := range goFiles(t) {
		if f.lines > maxFile {
			t.Logf("%s has %d lines (over %d)", f.path, f.lines, maxFile)
		}
		for _, fn := range f.funcs {
			if fn.lines > maxFunc && !f.test {
				t.Logf("%s: %s has %d lines (over %d)", f.path, fn.name, fn.lines, maxFunc)
			}
		}
	}
}

type goFile struct {
	path    string // from the root of the module
	pkg     string // its folder, from the root of the module
	test    bool
	imports []string
	lines   int
	funcs   []goFunc
	sleeps  bool
}

type goFunc struct {
	name  string
	lines int
}

// goFiles reads all Go files of the module. It parses rather than asks go list,
// so that a package which does not compile cannot hide.
func goFiles(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	root := os.DirFS("..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || base == "ui") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		f, err := readGo(name, src)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readGo(name string, src []byte) (goFile, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return goFile{}, err
	}
	f := goFile{
		path:  name,
		pkg:   path.Dir(name),
		test:  strings.HasSuffix(name, "_test.go"),
		lines: fset.File(tree.Pos()).LineCount(),
	}
	for _, imp := range tree.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return goFile{}, err
		}
		f.imports = append(f.imports, p)
	}
	for _, decl := range tree.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok {
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			f.funcs = append(f.funcs, goFunc{fn.Name.Name, n})
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				f.sleeps = true
			}
		}
		return true
	})
	return f, nil
}

func has(m map[string]int, key string) bool {
	_, ok := m[key]
	return ok
}
