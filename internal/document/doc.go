// Package document reads and writes what administrators write: YAML or JSON,
// strictly. Parse makes a tree of nodes in which every scalar keeps its source
// text and its place; Decode turns a tree into Go values and reports all faults
// at once, each with file, line, column and what would be right.
//
// It knows nothing of what a document says: directory and config do.
package document
