package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/api"
	"github.com/ringpath/ringpath/internal/flow"
	"github.com/ringpath/ringpath/internal/lookup"
	"github.com/ringpath/ringpath/internal/phone"
)

// pretended is a call that is only tried out.
type pretended struct {
	caller, at, trunk string
	set               []string
	confirm, asJSON   bool
}

func (p *pretended) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.caller, "caller", "", "who calls, +E164 or anonymous (required)")
	f.StringVar(&p.at, "at", "", "when, as 2026-01-31T09:30:00Z (default: now)")
	f.StringVar(&p.trunk, "trunk", "", "the trunk that the call comes by")
	f.StringArrayVar(&p.set, "set", nil, "input.NAME=VALUE or sip.HEADER=VALUE for templates; repeatable")
	f.BoolVar(&p.confirm, "yes", false, "also send a POST that is not marked idempotent")
	f.BoolVar(&p.asJSON, "json", false, "print JSON")
}

// body is the part of a request that says what call is meant.
func (p *pretended) body() (map[string]any, error) {
	if p.caller == "" {
		return nil, usageError{errors.New("say who calls: --caller +14155550123, or --caller anonymous")}
	}
	b := map[string]any{"caller": p.caller, "confirm": p.confirm}
	if p.trunk != "" {
		b["trunk"] = p.trunk
	}
	if p.at != "" {
		at, err := time.Parse(time.RFC3339, p.at)
		if err != nil {
			return nil, usageError{fmt.Errorf("--at %q: write it as 2026-01-31T09:30:00Z", p.at)}
		}
		b["at"] = at
	}
	inputs, headers := map[string]string{}, map[string]string{}
	for _, s := range p.set {
		name, value, ok := strings.Cut(s, "=")
		kind, rest, dotted := strings.Cut(name, ".")
		switch {
		case ok && dotted && kind == "input":
			inputs[rest] = value
		case ok && dotted && kind == "sip":
			headers[rest] = value
		default:
			return nil, usageError{fmt.Errorf("--set %q: write input.NAME=VALUE or sip.HEADER=VALUE", s)}
		}
	}
	b["inputs"], b["headers"] = inputs, headers
	return b, nil
}

func newLookup() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lookup",
		Short: "Test a flow's lookup",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLookupTest())
	return cmd
}

// tested is what /api/lookups/test answers.
type tested struct {
	Flow       string      `json:"flow"`
	Step       string      `json:"step"`
	Exit       lookup.Exit `json:"exit"`
	Reason     string      `json:"reason,omitempty"`
	Value      string      `json:"value,omitempty"`
	Target     string      `json:"target,omitempty"`
	Candidates []string    `json:"candidates"`
	Took       string      `json:"took"`
	Trace      lookup.View `json:"trace"`
}

func newLookupTest() *cobra.Command {
	var p pretended
	var flowName, step, called string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Test response: ask as a call would, and show everything; rings nobody",
		Long: `Run a flow's lookup exactly as a call would, and show its trace. Nobody rings.

Exit code 0: matched; 3: no match; 4: unknown target; 5: failed.`,
		Example: `  ringpath lookup test --flow main --caller +14155550123
  ringpath lookup test --flow main --step "last agent" --caller anonymous --json`,
		Args: cobra.NoArgs,
	}
	to := clientFlags(cmd)
	p.add(cmd)
	cmd.Flags().StringVar(&flowName, "flow", "", "the flow (required)")
	cmd.Flags().StringVar(&step, "step", "", "the ring_to_api step (default: the flow's first)")
	cmd.Flags().StringVar(&called, "called", "", "the number dialled, +E164 (default: the first that has the flow)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if flowName == "" {
			return usageError{errors.New("say which flow: --flow NAME")}
		}
		body, err := p.body()
		if err != nil {
			return err
		}
		body["flow"], body["step"], body["called"] = flowName, step, called
		c, err := to.client()
		if err != nil {
			return err
		}
		var t tested
		if err := c.Do(cmd.Context(), http.MethodPost, "/api/lookups/test", body, &t); err != nil {
			return withYes(err)
		}
		if p.asJSON {
			err = printJSON(cmd.OutOrStdout(), t)
		} else {
			t.print(cmd.OutOrStdout())
		}
		if code := t.exitCode(); err == nil && code != 0 {
			return exit(code)
		}
		return err
	}
	return cmd
}

// withYes says how to confirm what the server wants confirmed.
func withYes(err error) error {
	var refused *api.Refused
	if errors.As(err, &refused) && refused.Code == "confirm" {
		return fmt.Errorf("%s; --yes sends it, and \"idempotent: true\" in the lookup says that it changes nothing", phone.TextOf(err))
	}
	return err
}

func (t *tested) exitCode() int {
	switch t.Exit {
	case lookup.Matched:
		return 0
	case lookup.NoMatch:
		return exitNoMatch
	case lookup.UnknownTarget:
		return exitUnknownTarget
	}
	return exitFailed
}

// print tells the trace from question to answer; its last lines say what came of
// it and what to do.
func (t *tested) print(w io.Writer) {
	fmt.Fprintf(w, "flow %q, step %q\n", t.Flow, t.Step)
	for i, a := range t.Trace.Attempts {
		fmt.Fprintf(w, "\nrequest %d\n  %s %s\n", i+1, a.Request.Method, a.Request.URL)
		printHeaders(w, a.Request.Headers)
		if a.Request.Body != "" {
			fmt.Fprintf(w, "  %s\n", indented(a.Request.Body))
		}
		switch {
		case a.Status != 0:
			fmt.Fprintf(w, "answer from %s after %.0f ms\n  %d %s\n", a.Address, a.Timings.FirstByte, a.Status, http.StatusText(a.Status))
			printHeaders(w, a.Headers)
		case a.Error != "":
			fmt.Fprintf(w, "no answer: %s\n", a.Error)
		}
		if a.Answer != "" {
			fmt.Fprintf(w, "  %s\n", indented(a.Answer))
			if a.Truncated {
				fmt.Fprintln(w, "  … (cut)")
			}
		}
	}
	if len(t.Trace.Candidates) > 0 {
		fmt.Fprintln(w, "\nfound")
	}
	for _, c := range t.Trace.Candidates {
		fmt.Fprintf(w, "  %s = %s", c.Path, c.Value)
		if c.Mapped != "" {
			fmt.Fprintf(w, " → %s", c.Mapped)
		}
		if c.Target != "" {
			fmt.Fprintf(w, " → %s", c.Target)
		}
		if c.State != "" {
			fmt.Fprintf(w, " (%s)", c.State)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n%s", t.Exit)
	if t.Reason != "" {
		fmt.Fprintf(w, " (%s)", t.Reason)
	}
	fmt.Fprintf(w, " in %s\n%s\n", t.Took, t.Trace.Sentence)
	if t.Trace.Help != "" {
		fmt.Fprintln(w, t.Trace.Help)
	}
}

func printHeaders(w io.Writer, headers map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(w, "  %s: %s\n", name, headers[name])
	}
}

// indented is hostile text made safe for a terminal, its lines indented.
func indented(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
	return strings.ReplaceAll(text, "\n", "\n  ")
}

func newFlow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flow",
		Short: "Try a flow out",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newFlowTry())
	return cmd
}

func newFlowTry() *cobra.Command {
	var p pretended
	var number string
	cmd := &cobra.Command{
		Use:   "try",
		Short: "Play a whole call through in which nobody answers; rings nobody",
		Long: `Play a whole call through in which nobody answers: which steps it takes, whom
each would ring with everybody as they are now, and for how long. Lookups are
really asked; nobody rings.`,
		Example: "  ringpath flow try --number +14155550100 --caller +14155550123",
		Args:    cobra.NoArgs,
	}
	to := clientFlags(cmd)
	p.add(cmd)
	cmd.Flags().StringVar(&number, "number", "", "the number of ours that is dialled, +E164 (required)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if number == "" {
			return usageError{errors.New("say which number is dialled: --number +14155550100")}
		}
		body, err := p.body()
		if err != nil {
			return err
		}
		body["number"] = number
		c, err := to.client()
		if err != nil {
			return err
		}
		var t flow.Timeline
		if err := c.Do(cmd.Context(), http.MethodPost, "/api/flows/try", body, &t); err != nil {
			return withYes(err)
		}
		if p.asJSON {
			return printJSON(cmd.OutOrStdout(), t)
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), t.Text())
		return err
	}
	return cmd
}
