package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ringpath/ringpath/internal/app"
	"github.com/ringpath/ringpath/internal/config"
	"github.com/ringpath/ringpath/internal/directory"
	"github.com/ringpath/ringpath/internal/document"
)

// settingsFile is read when it is there and no other is named.
const settingsFile = "ringpath.yaml"

func newServe() *cobra.Command {
	var path, data, http string
	var sip, apply, vars []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: phones register with it, trunks send it calls, lookups say who
is rung. It works without any file. Settings come from flags, over the
environment (RINGPATH_HTTP_LISTEN for http.listen), over the file, over defaults.

SIGTERM or Ctrl-C: new calls are refused, running ones may end by themselves for
as long as the setting drain says; a second signal ends them at once.`,
		Example: `  ringpath serve
  ringpath serve --config ringpath.yaml --apply directory.yaml
  ringpath serve --data /var/lib/ringpath --http 127.0.0.1:8080 --sip udp://0.0.0.0:5060`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&path, "config", "", "settings file (default: "+settingsFile+" in this directory, if it is there)")
	f.StringVar(&data, "data", "", "data directory (default ./data)")
	f.StringVar(&http, "http", "", "where the APIs listen, address:port (default 127.0.0.1:8080)")
	f.StringSliceVar(&sip, "sip", nil, "where SIP listens, udp://address:port or tcp://address:port; repeatable")
	f.StringArrayVar(&apply, "apply", nil, "directory document to apply first; repeatable")
	f.StringArrayVar(&vars, "var", nil, "NAME=VALUE for {var: NAME} in the documents; repeatable")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		settings, err := loadSettings(path,
			config.Override{Setting: "data", Text: data, From: "--data"},
			config.Override{Setting: "http.listen", Text: http, From: "--http"},
			config.Override{Setting: "sip.listen", Text: strings.Join(sip, ","), From: "--sip"})
		if err != nil {
			return err
		}
		doc, err := readDocuments(apply, vars)
		if err != nil {
			return err
		}
		return serve(cmd.Context(), settings, doc, cmd.OutOrStdout())
	}
	return cmd
}

// loadSettings reads the settings; warnings go to standard error. An empty
// override is none.
func loadSettings(path string, overrides ...config.Override) (config.Settings, error) {
	if path == "" {
		if _, err := os.Stat(settingsFile); err == nil {
			path = settingsFile
		}
	}
	var given []config.Override
	for _, o := range overrides {
		if o.Text != "" {
			given = append(given, o)
		}
	}
	settings, faults := config.Load(path, given...)
	return settings, report(faults)
}

// report prints warnings; faults come back as the error.
func report(faults document.Faults) error {
	if faults.Fatal() {
		return faults
	}
	for _, f := range faults {
		fmt.Fprintln(os.Stderr, f)
	}
	return nil
}

// serve runs the server until it is told to end.
func serve(ctx context.Context, settings config.Settings, doc directory.Document, out io.Writer) error {
	if os.Getenv("GOGC") == "" {
		// Calls make much short-lived garbage and keep little: collecting at five
		// times what lives saves a sixth of the CPU and costs some tens of MiB.
		debug.SetGCPercent(400)
	}
	insist, stop := secondSignal(ctx)
	defer stop()
	a, err := app.Open(ctx, app.Options{
		Settings: settings, Document: doc, Version: programVersion(), Logger: newLogger(settings.Log),
	})
	if err != nil {
		return err
	}
	greet(out, a, settings)
	return a.Run(ctx, insist)
}

// secondSignal is done when a signal comes after ctx is done.
func secondSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	insist, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-ctx.Done():
		case <-insist.Done():
			return
		}
		again := make(chan os.Signal, 1)
		signal.Notify(again, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(again)
		select {
		case <-again:
			cancel()
		case <-insist.Done():
		}
	}()
	return insist, cancel
}

func newLogger(s config.Log) *slog.Logger {
	o := &slog.HandlerOptions{Level: s.Level}
	if s.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// greet says what is where and what to do next.
func greet(out io.Writer, a *app.App, s config.Settings) {
	domain := s.SIP.Domain
	if domain == "" {
		domain = "any address of this machine"
	}
	fmt.Fprintf(out, "data directory  %s\nSIP             %s\nSIP domain      %s\nAPIs            http://%s/docs/v1 and /docs/api\n",
		s.Data, joinListeners(s.SIP.Listen), domain, a.HTTPAddr())
	snapshot := a.Directory.Snapshot()
	if len(snapshot.Numbers()) == 0 {
		fmt.Fprintf(out, "\nNo number is set up yet. In another terminal:\n  ringpath init\n  ringpath apply -f directory.yaml --data %s\n", quoted(s.Data))
		return
	}
	fmt.Fprintf(out, "directory       %d users, %d numbers, %d trunks\n", len(snapshot.Users()), len(snapshot.Numbers()), len(snapshot.Trunks()))
}

func joinListeners(ls []config.Listener) string {
	texts := make([]string, len(ls))
	for i, l := range ls {
		texts[i] = l.String()
	}
	return strings.Join(texts, " ")
}

// quoted is a path as a shell reads it.
func quoted(path string) string {
	path = filepath.Clean(path)
	if strings.ContainsAny(path, " '\"$\\") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
