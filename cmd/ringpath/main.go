// Ringpath points a phone number at any API: a call comes in, an HTTP lookup
// says who should answer, and that person's phone rings.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ringpath/ringpath/internal/phone"
)

// version is set by the linker when a release is built.
var version = ""

// Exit codes, the same for every command.
const (
	exitError         = 1
	exitDifference    = 2 // plan
	exitNoMatch       = 3 // lookup test
	exitUnknownTarget = 4
	exitFailed        = 5
	exitUsage         = 64
	exitUnreachable   = 69
)

// exit is an error that only carries an exit code: everything has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that cannot be carried out.
type usageError struct{ error }

func main() {
	os.Exit(run())
}

func run() int {
	// The first signal asks to end, the second one insists.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	err := root.ExecuteContext(ctx)
	return exitCode(err)
}

func exitCode(err error) int {
	var code exit
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "ringpath: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "ringpath: %v\n", err)
	if phone.KindOf(err) == phone.Unreachable {
		return exitUnreachable
	}
	return exitError
}
