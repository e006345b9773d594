// Package ringpath holds the example files, for `ringpath init --with-example`.
package ringpath

import _ "embed"

// ExampleSettings is ringpath.example.yaml: every setting, explained.
//
//go:embed ringpath.example.yaml
var ExampleSettings []byte

// ExampleDirectory is directory.example.yaml: every field of a directory
// document, explained.
//
//go:embed directory.example.yaml
var ExampleDirectory []byte
