package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/api"
	"github.com/ringpath/ringpath/internal/secret"
)

// target says which server a command speaks to.
type target struct {
	server, data string
}

// clientFlags are the flags of every command that speaks to a running server.
func clientFlags(cmd *cobra.Command) *target {
	t := &target{}
	cmd.Flags().StringVar(&t.server, "server", os.Getenv("RINGPATH_SERVER"),
		"the server's address, http://127.0.0.1:8080; the key is in RINGPATH_API_KEY=id:token (environment RINGPATH_SERVER)")
	cmd.Flags().StringVar(&t.data, "data", envOr("RINGPATH_DATA", "./data"),
		"the data directory of a server on this machine, whose socket is used without --server (environment RINGPATH_DATA)")
	return t
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}

// client is the way to the server. The API key comes from the environment only:
// command lines are read by every user of a machine.
func (t *target) client() (*api.Client, error) {
	if t.server == "" {
		return &api.Client{Socket: filepath.Join(t.data, "ringpath.sock")}, nil
	}
	id, token, ok := strings.Cut(os.Getenv("RINGPATH_API_KEY"), ":")
	if !ok {
		return nil, usageError{fmt.Errorf("set RINGPATH_API_KEY=id:token for %s; \"ringpath apikey create --scope api:write\" makes one on the server's machine", t.server)}
	}
	return &api.Client{Server: t.server, KeyID: id, Token: secret.New(token)}, nil
}

// printJSON writes v as people and programs both can read it.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
