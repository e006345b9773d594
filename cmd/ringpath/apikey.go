package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// apiKey is a key as /api shows it.
type apiKey struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Scopes     []string   `json:"scopes"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	Token      string     `json:"token,omitempty"`
}

func newAPIKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apikey",
		Short: "Make, list and revoke API keys",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyCreate(), newKeyList(), newKeyRevoke())
	return cmd
}

func newKeyCreate() *cobra.Command {
	var name string
	var scopes []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an API key; its token is shown this once",
		Example: `  ringpath apikey create --name lookups
  ringpath apikey create --name deploy --scope api:write`,
		Args: cobra.NoArgs,
	}
	to := clientFlags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "what the key is for (required)")
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "v1:read (default), v1:write, api:read, api:write; repeatable")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return usageError{fmt.Errorf("say what the key is for: --name NAME")}
		}
		c, err := to.client()
		if err != nil {
			return err
		}
		var key apiKey
		in := map[string]any{"name": name, "scopes": scopes}
		if len(scopes) == 0 {
			delete(in, "scopes")
		}
		if err := c.Do(cmd.Context(), http.MethodPost, "/api/keys", in, &key); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if asJSON {
			return printJSON(out, key)
		}
		fmt.Fprintf(out, "id:     %s\ntoken:  %s\nscopes: %s\n", key.ID, key.Token, strings.Join(key.Scopes, " "))
		fmt.Fprintln(cmd.ErrOrStderr(), "The token is not shown again. In HTTP Basic the id is the user name and the token the password.")
		return nil
	}
	return cmd
}

func newKeyList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List API keys, without their tokens",
		Example: "  ringpath apikey list",
		Args:    cobra.NoArgs,
	}
	to := clientFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := to.client()
		if err != nil {
			return err
		}
		var list struct {
			Keys []apiKey `json:"keys"`
		}
		if err := c.Do(cmd.Context(), http.MethodGet, "/api/keys", nil, &list); err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), list)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tSCOPES\tMADE\tLAST USED")
		for _, k := range list.Keys {
			used := "never"
			if k.LastUsedAt != nil {
				used = k.LastUsedAt.Local().Format(time.DateTime)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, strings.Join(k.Scopes, " "), k.CreatedAt.Local().Format(time.DateTime), used)
		}
		return w.Flush()
	}
	return cmd
}

func newKeyRevoke() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "End an API key at once",
		Example: "  ringpath apikey revoke 3f2c9a",
		Args:    cobra.ExactArgs(1),
	}
	to := clientFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := to.client()
		if err != nil {
			return err
		}
		if err := c.Do(cmd.Context(), http.MethodDelete, "/api/keys/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "revoked", args[0])
		return nil
	}
	return cmd
}
