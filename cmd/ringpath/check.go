package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/app"
	"github.com/ringpath/ringpath/internal/config"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/document"
)

func newCheck() *cobra.Command {
	var path string
	var d documentFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate settings and directory documents, without a server",
		Long: `Validate settings and directory documents, without a server: every fault at
once, with its line and column and what would be right. A document is checked as
if it were put into an empty directory.`,
		Example: `  ringpath check
  ringpath check --config ringpath.yaml -f directory.yaml`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", "", "settings file (default: "+settingsFile+" in this directory, if it is there)")
	f.StringArrayVarP(&d.files, "file", "f", nil, "directory document; repeatable, each one over those before it")
	f.StringArrayVar(&d.vars, "var", nil, "NAME=VALUE for {var: NAME} in the documents; repeatable")
	f.BoolVar(&d.asJSON, "json", false, "print the faults as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		faults, err := d.check(path)
		if err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		if d.asJSON {
			if faults == nil {
				faults = document.Faults{}
			}
			if err := printJSON(out, faults); err != nil {
				return err
			}
		} else {
			for _, f := range faults {
				fmt.Fprintln(out, f)
			}
		}
		if faults.Fatal() {
			return exit(exitError)
		}
		if !d.asJSON {
			fmt.Fprintln(out, "no faults")
		}
		return nil
	}
	return cmd
}

// check returns all faults of the settings and of the documents together.
func (d *documentFlags) check(path string) (document.Faults, error) {
	settings, err := loadSettings(path)
	faults, ok := err.(document.Faults)
	if err != nil && !ok {
		return nil, err
	}
	if len(d.files) == 0 {
		return faults, nil
	}
	values, err := readVars(d.vars)
	if err != nil {
		return nil, err
	}
	doc, more := directory.ReadFiles(d.files, values)
	faults = append(faults, more...)
	if more.Fatal() {
		return faults, nil
	}
	if faults.Fatal() {
		settings = config.Default() // what it says cannot be used to check the document by
	}
	o, err := app.DirectoryOptions(settings)
	if err != nil {
		return faults, err
	}
	_, more = doc.Check(o)
	return append(faults, more...), nil
}
