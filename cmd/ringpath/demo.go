package main

import (
	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/demo"
)

func newDemo() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch real SIP calls being routed on this machine",
		Long: `Start the whole system on loopback, with built-in phones, callers, a stand-in
carrier and a stand-in CRM, and tell nine stories as they happen. Then stay up,
with an account for your own softphone and three things to try.

Nothing is kept: the data directory is temporary and is removed at the end.`,
		Example: `  ringpath demo
  ringpath demo --once --json`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&o.Once, "once", false, "end after the stories; exit 0 only if every one went as told")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print one JSON object a call instead of words")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Out, o.Log = cmd.OutOrStdout(), cmd.ErrOrStderr()
		return demo.Run(cmd.Context(), o)
	}
	return cmd
}
