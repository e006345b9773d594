package main

import (
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	ringpath "github.com/ringpath/ringpath"
)

var (
	//go:embed start/ringpath.yaml
	startSettings []byte
	//go:embed start/directory.yaml
	startDirectory []byte
)

func newInit() *cobra.Command {
	var dir string
	var withExample bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write first settings and a first directory document",
		Long: `Write ringpath.yaml and directory.yaml with one user, one number and one flow,
and a random password for the user's phone. Nothing that is there is overwritten.`,
		Example: "  ringpath init\n  ringpath init --with-example",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "where to write")
	cmd.Flags().BoolVar(&withExample, "with-example", false, "also write ringpath.example.yaml and directory.example.yaml, which explain every field")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		// 20 characters of 32: a hundred bits, and nothing that is misread aloud.
		password := rand.Text()[:20]
		files := []startFile{
			{"secrets/agent", []byte(password + "\n"), 0o600},
			{settingsFile, startSettings, 0o644},
			{"directory.yaml", startDirectory, 0o644},
		}
		if withExample {
			files = append(files,
				startFile{"ringpath.example.yaml", ringpath.ExampleSettings, 0o644},
				startFile{"directory.example.yaml", ringpath.ExampleDirectory, 0o644})
		}
		if err := writeNew(dir, files); err != nil {
			return err
		}
		welcome(cmd.OutOrStdout(), dir, files)
		return nil
	}
	return cmd
}

type startFile struct {
	name string
	data []byte
	mode os.FileMode
}

// writeNew writes files that are not there yet: all of them or none.
func writeNew(dir string, files []startFile) error {
	var there []string
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(dir, f.name)); !errors.Is(err, os.ErrNotExist) {
			there = append(there, f.name)
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("already there: %s; nothing was written. Use another directory (--dir) or move them away", strings.Join(there, ", "))
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		return err
	}
	for _, f := range files {
		out, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if err != nil {
			return err
		}
		_, err = out.Write(f.data)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

// welcome says what was written, how to set up a softphone, and what comes next.
func welcome(out io.Writer, dir string, files []startFile) {
	fmt.Fprintln(out, "wrote")
	for _, f := range files {
		fmt.Fprintln(out, "  "+filepath.Join(dir, f.name))
	}
	fmt.Fprintf(out, `
your softphone
  user name  agent
  domain     %s
  password   in %s
  transport  UDP or TCP, port 5060

next
  ringpath serve --apply directory.yaml
  ringpath phone --account agent@127.0.0.1 --password-file secrets/agent    in another terminal
  ringpath call --from +14155550123 --to +14155550100                       in a third: the phone rings
`, strings.Join(addresses(), " or "), filepath.Join(dir, "secrets/agent"))
}

// addresses are this machine's, as a phone could reach it.
func addresses() []string {
	all := []string{"127.0.0.1 (on this machine)"}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		return all
	}
	for _, a := range nets {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			all = append(all, n.IP.String())
		}
	}
	return all
}
