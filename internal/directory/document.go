package directory

import (
	"github.com/ringpath/ringpath/internal/document"
)

// Document is the written form of a directory, or of a part of it: what it does
// not name, it does not touch. The zero Document names nothing.
type Document struct {
	root *document.Node // a map of sections; nil: empty
}
