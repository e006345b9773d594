package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/api"
	"github.com/ringpath/ringpath/internal/directory"
)

// documentFlags say which directory document a command sends.
type documentFlags struct {
	files, vars []string
	prune       bool
	asJSON      bool
}

func (d *documentFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVarP(&d.files, "file", "f", nil, "directory document, - for standard input; repeatable, each one over those before it (required)")
	f.StringArrayVar(&d.vars, "var", nil, "NAME=VALUE for {var: NAME} in the documents; repeatable")
	f.BoolVar(&d.prune, "prune", false, "also remove what the document's sections do not name")
	f.BoolVar(&d.asJSON, "json", false, "print JSON")
}

// read reads the documents, with the secrets that they name.
func (d *documentFlags) read() (directory.Document, error) {
	if len(d.files) == 0 {
		return directory.Document{}, usageError{errors.New("say which document: -f directory.yaml")}
	}
	return readDocuments(d.files, d.vars)
}

func readDocuments(files, vars []string) (directory.Document, error) {
	values, err := readVars(vars)
	if err != nil {
		return directory.Document{}, err
	}
	doc, faults := directory.ReadFiles(files, values)
	return doc, report(faults)
}

func readVars(vars []string) (map[string]string, error) {
	values := map[string]string{}
	for _, v := range vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("--var %q: write NAME=VALUE", v)}
		}
		values[name] = value
	}
	return values, nil
}

// send sends the document and prints what it changes.
func (d *documentFlags) send(cmd *cobra.Command, to *target, method, path, ifMatch string) (directory.Plan, error) {
	var plan directory.Plan
	doc, err := d.read()
	if err != nil {
		return plan, err
	}
	body, err := doc.Reveal()
	if err != nil {
		return plan, err
	}
	c, err := to.client()
	if err != nil {
		return plan, err
	}
	q := url.Values{"name": {strings.Join(d.files, " ")}}
	if d.prune {
		q.Set("prune", "true")
	}
	in := &api.Raw{ContentType: "application/json", Data: body, IfMatch: ifMatch}
	if err := c.Do(cmd.Context(), method, path+"?"+q.Encode(), in, &plan); err != nil {
		return plan, err
	}
	out := cmd.OutOrStdout()
	if d.asJSON {
		return plan, printJSON(out, plan)
	}
	_, err = fmt.Fprint(out, plan.Text())
	return plan, err
}

func newPlan() *cobra.Command {
	var d documentFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what applying a document would change",
		Long:  "Show what applying a document would change. Nothing is changed.\nExit code 0: nothing would change; 2: something would.",
		Example: `  ringpath plan -f directory.yaml
  ringpath plan -f base.yaml -f site.yaml --var SITE=paris --prune`,
		Args: cobra.NoArgs,
	}
	to := clientFlags(cmd)
	d.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		plan, err := d.send(cmd, to, http.MethodPost, "/api/directory/plan", "")
		if err == nil && len(plan.Changes) > 0 {
			return exit(exitDifference)
		}
		return err
	}
	return cmd
}

func newApply() *cobra.Command {
	var d documentFlags
	var revision int64
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Put a document into the directory, whole or not at all",
		Long: `Put a document into the directory, whole or not at all. What the document does
not name stays as it is, unless --prune is given. Calls that are going on keep
the directory that they began with.

Secrets ({env: NAME}, {file: PATH}) are read here, by this command.`,
		Example: `  ringpath apply -f directory.yaml
  ringpath apply -f directory.yaml --revision 12`,
		Args: cobra.NoArgs,
	}
	to := clientFlags(cmd)
	d.add(cmd)
	cmd.Flags().Int64Var(&revision, "revision", 0, "refuse if the directory is no longer at this revision (default: any)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		match := "*"
		if revision != 0 {
			match = fmt.Sprintf("%q", fmt.Sprint(revision))
		}
		plan, err := d.send(cmd, to, http.MethodPut, "/api/directory", match)
		if err == nil && !d.asJSON {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "applied: the directory is at revision %d\n", plan.Revision)
		}
		return err
	}
	return cmd
}

func newExport() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the directory out as a document",
		Long: `Write the directory out as a document. Secrets are never written: they are
{stored: true}, which apply reads as "keep what is there".`,
		Example: "  ringpath export > directory.yaml",
		Args:    cobra.NoArgs,
	}
	to := clientFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "JSON instead of YAML")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := to.client()
		if err != nil {
			return err
		}
		out := &api.Raw{ContentType: "application/yaml"}
		if asJSON {
			out.ContentType = "application/json"
		}
		if err := c.Do(cmd.Context(), http.MethodGet, "/api/directory", nil, out); err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(out.Data)
		return err
	}
	return cmd
}
