package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "ringpath",
		Short: "Point a phone number at any API",
		Long: `Ringpath is a phone system in which an HTTP lookup says who should answer.

A company's number rings; Ringpath asks a CRM, a help desk or an in-house
database who should answer, and rings that user, team, internal number or
external number.

Begin with "ringpath demo", which tells the whole story on this machine, then
"ringpath init" and "ringpath serve" for real calls.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(
		newDemo(), newServe(), newInit(), newCheck(),
		newPlan(), newApply(), newExport(),
		newLookup(), newFlow(), newAPIKey(), newPrivacy(),
		newPhone(), newCall(), newVersion(), newMan(),
	)
	usageOfArgs(root)
	return root
}

// usageOfArgs makes wrong arguments a usage error, as wrong flags are.
func usageOfArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageOfArgs(sub)
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the program's version",
		Example: "  ringpath version",
		Args:    cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "ringpath", programVersion())
		},
	}
}

// programVersion is what the linker was told, else what the module and its
// version control say.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version + " " + info.GoVersion
}

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write a manual page for each command into a directory",
		Example: "  ringpath man /usr/local/share/man/man1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Title: "RINGPATH", Section: "1", Source: "Ringpath"}, args[0])
		},
	}
}
