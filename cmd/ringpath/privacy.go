package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/api"
)

func newPrivacy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "privacy",
		Short: "Export or erase what is kept about a caller",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPrivacyExport(), newPrivacyErase())
	return cmd
}

func newPrivacyExport() *cobra.Command {
	var number string
	cmd := &cobra.Command{
		Use:     "export",
		Short:   "Print everything that is kept about a number, as JSON",
		Example: "  ringpath privacy export --number +14155550123 > caller.json",
		Args:    cobra.NoArgs,
	}
	to := clientFlags(cmd)
	numberFlag(cmd, &number)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := to.client()
		if err != nil {
			return err
		}
		var out api.Raw
		if err := c.Do(cmd.Context(), http.MethodPost, "/api/privacy/export", map[string]string{"number": number}, &out); err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(out.Data)
		return err
	}
	return cmd
}

func newPrivacyErase() *cobra.Command {
	var number string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Take a number out of everything that is kept; this cannot be undone",
		Long: `Take a number out of everything that is kept. Calls keep their times and
outcome; the number, names, traces, shown facts and SIP messages go.
Backups of the data directory are not touched.`,
		Example: "  ringpath privacy erase --number +14155550123 --yes",
		Args:    cobra.NoArgs,
	}
	to := clientFlags(cmd)
	numberFlag(cmd, &number)
	cmd.Flags().BoolVar(&yes, "yes", false, "really do it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !yes {
			return usageError{fmt.Errorf("this cannot be undone: give --yes as well")}
		}
		c, err := to.client()
		if err != nil {
			return err
		}
		var out struct{ Calls, Running int }
		if err := c.Do(cmd.Context(), http.MethodPost, "/api/privacy/erase", map[string]string{"number": number}, &out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "erased from %d calls\n", out.Calls)
		if out.Running > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d calls are still going on: erase again when they have ended\n", out.Running)
			return exit(exitError)
		}
		return nil
	}
	return cmd
}

func numberFlag(cmd *cobra.Command, number *string) {
	cmd.Flags().StringVar(number, "number", "", "the outside party's number in E.164, +14155550123 (required)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *number == "" {
			return usageError{errors.New("say whose number: --number +14155550123")}
		}
		return nil
	}
}
