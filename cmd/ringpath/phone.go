package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
	"github.com/ringpath/ringpath/internal/softphone"
)

func newPhone() *cobra.Command {
	var o softphone.Options
	var passwordFile, listen string
	cmd := &cobra.Command{
		Use:   "phone",
		Short: "A small SIP phone for trying things out",
		Long: `Register as a phone, answer calls, play a tone, and report what is heard.
The password is the first line of a file, never an argument.`,
		Example: `  ringpath phone --account agent@127.0.0.1 --password-file secrets/agent
  ringpath phone --account agent@127.0.0.1 --password-file secrets/agent --reject 486`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.Account, "account", "", "user name and server, user@host[:port] (required)")
	f.StringVar(&passwordFile, "password-file", "", "file with the password (required)")
	f.StringVar(&o.Server, "server", "", "where to send requests, host:port (default: the account's host)")
	f.StringVar(&o.Transport, "transport", "udp", "udp or tcp")
	f.StringVar(&listen, "listen", "", "own address, ip:port (default: a free port on the way to the server)")
	f.DurationVar(&o.AnswerAfter, "answer-after", 2*time.Second, "how long it rings before it answers; negative: it never does")
	f.IntVar(&o.Reject, "reject", 0, "final status to refuse calls with, 300–699, such as 486 (busy) or 603 (declined)")
	f.DurationVar(&o.HangUpAfter, "hang-up-after", 0, "how long it talks (default: until the other side hangs up)")
	f.Float64Var(&o.Tone, "tone", 440, "what it plays in a call, in Hz; negative: nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Account == "" || passwordFile == "" {
			return usageError{errors.New("say who it is: --account user@host --password-file FILE")}
		}
		password, err := readSecret(passwordFile)
		if err != nil {
			return err
		}
		o.Password = password
		if o.Listen, err = parseListen(listen); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		o.OnEvent = func(e softphone.Event) { fmt.Fprintln(out, e.At.Format("15:04:05.000"), e) }
		p, err := softphone.New(o)
		if err != nil {
			return err
		}
		return p.Run(cmd.Context())
	}
	return cmd
}

// readSecret reads the first line of a file.
func readSecret(path string) (secret.Text, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return secret.Text{}, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return secret.Text{}, fmt.Errorf("%s is empty: the password is its first line", path)
	}
	return secret.New(line), nil
}

func parseListen(text string) (netip.AddrPort, error) {
	if text == "" {
		return netip.AddrPort{}, nil
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return ap, usageError{fmt.Errorf("--listen %q is no ip:port", text)}
	}
	return ap, nil
}

// callReport is what `ringpath call --json` prints.
type callReport struct {
	From    string    `json:"from"`
	To      string    `json:"to"`
	Status  int       `json:"status"`
	Reason  string    `json:"reason"`
	Rang    []int     `json:"provisional"`
	PDDMS   int64     `json:"pdd_ms"`
	SetupMS int64     `json:"setup_ms"`
	TalkMS  int64     `json:"talk_ms"`
	Heard   []float64 `json:"heard_hz"`
	End     string    `json:"end"`
}

func newCall() *cobra.Command {
	var o softphone.CallOptions
	var listen, passwordFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "call",
		Short: "A test caller, as a carrier would send it",
		Long: `Call one of the server's numbers as a carrier would. The server knows a carrier
by its address: the port given by --listen must be in a trunk's networks, as the
trunk "test" of the directory that "ringpath init" writes.

Exit code 0 when somebody answered, 1 otherwise.`,
		Example: `  ringpath call --from +14155550123 --to +14155550100
  ringpath call --from anonymous --to +14155550100 --cancel-after 5s
  ringpath call --user agent --password-file secrets/agent --listen 127.0.0.1:0 --to +14155550100`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "the caller's number in E.164, or anonymous (required without --user)")
	f.StringVar(&o.To, "to", "", "the number dialled (required)")
	f.StringVar(&o.User, "user", "", "call as this phone of the server's, with its password")
	f.StringVar(&passwordFile, "password-file", "", "file with the phone's password")
	f.StringVar(&o.Name, "name", "", "the caller's display name")
	f.StringVar(&o.Server, "server", "127.0.0.1:5060", "the SIP server, host:port")
	f.StringVar(&o.Transport, "transport", "udp", "udp or tcp")
	f.StringVar(&listen, "listen", "127.0.0.1:5070", "own address, by which the server knows a trunk")
	f.DurationVar(&o.Hold, "talk", 3*time.Second, "how long to talk; negative: until the other side hangs up")
	f.DurationVar(&o.CancelAfter, "cancel-after", 0, "give up after this without an answer (default 2m)")
	f.Float64Var(&o.Tone, "tone", 440, "what it plays, in Hz; negative: nothing")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.From == "" {
			o.From = o.User
		}
		if o.From == "" || o.To == "" {
			return usageError{errors.New("say who calls whom: --from +E164 --to +E164")}
		}
		if o.User != "" {
			password, err := readSecret(passwordFile)
			if err != nil {
				return usageError{fmt.Errorf("--user needs --password-file: %w", err)}
			}
			o.Password = password
		}
		report := callReport{From: o.From, To: o.To, Rang: []int{}, Heard: []float64{}}
		switch {
		case o.From == "anonymous":
			o.From = ""
		case o.User == "":
			if _, err := phone.ParseE164(o.From); err != nil {
				return usageError{fmt.Errorf("--from %q: %w", o.From, err)}
			}
		}
		var err error
		if o.Listen, err = parseListen(listen); err != nil {
			return err
		}
		res, err := softphone.Call(cmd.Context(), o)
		if err != nil {
			return err
		}
		for _, p := range res.Provisional {
			report.Rang = append(report.Rang, p.Status)
		}
		report.Heard = append(report.Heard, res.Heard...)
		report.Status, report.Reason, report.End = res.Status, res.Reason, string(res.End)
		report.PDDMS, report.SetupMS, report.TalkMS = res.PDD.Milliseconds(), res.Setup.Milliseconds(), res.Talked.Milliseconds()
		if asJSON {
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
		} else {
			_, err = fmt.Fprint(cmd.OutOrStdout(), report.words())
		}
		if err == nil && res.Status != 200 {
			return exit(exitError)
		}
		return err
	}
	return cmd
}

// words tells the call as a person would.
func (r callReport) words() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s called %s: %d %s after %d ms", r.From, r.To, r.Status, r.Reason, r.SetupMS)
	if r.PDDMS > 0 {
		fmt.Fprintf(&b, ", ringing after %d ms", r.PDDMS)
	}
	b.WriteByte('\n')
	switch r.Status {
	case 200:
		fmt.Fprintf(&b, "talked for %d ms", r.TalkMS)
		for _, hz := range r.Heard {
			if hz > 0 {
				fmt.Fprintf(&b, ", heard %.0f Hz", hz)
			}
		}
		b.WriteByte('\n')
	case 401:
		b.WriteString("the server knows no trunk at this address: put --listen's ip:port into a trunk's networks\n")
	case 404:
		b.WriteString("the server has no such number\n")
	}
	return b.String()
}
