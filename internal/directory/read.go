package directory

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ringpath/ringpath/internal/document"
)

// ReadFiles reads documents from files for the command that applies them, each
// one over those before it. "-" is standard input. Unlike Parse it reads
// secrets from the environment and from files, whose paths are relative to the
// document's folder.
func ReadFiles(paths []string, vars map[string]string) (Document, document.Faults) {
	var all Document
	var faults document.Faults
	for _, path := range paths {
		text, err := readBounded(path, document.MaxSize)
		if err != nil {
			faults = append(faults, Fault{File: path, Code: document.CodeSyntax, Message: err.Error()})
			continue
		}
		d, fs := parse(path, text, vars, local{folder: filepath.Dir(path)})
		faults = append(faults, fs...)
		all = all.Overlay(d)
	}
	if faults.Fatal() {
		return Document{}, faults
	}
	return all, faults
}

func readBounded(path string, limit int64) ([]byte, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, nil
}
