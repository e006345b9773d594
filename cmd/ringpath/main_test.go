package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ringpath": func() { os.Exit(run()) }})
}

// The scripts in testdata run the program as its users do.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// Free ports for the script's server and test caller.
			for _, name := range []string{"HTTP", "SIP", "CALLER"} {
				port, err := freePort()
				if err != nil {
					return err
				}
				e.Setenv(name, fmt.Sprintf("127.0.0.1:%d", port))
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "ready": ready, "waitfor": waitFor,
		},
	})
}

func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// exits CODE COMMAND…: the command ends with this exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = fmt.Sprint(err)
		var code int
		if n, _ := fmt.Sscanf(got, "exit status %d", &code); n == 1 {
			got = fmt.Sprint(code)
		}
	}
	if got != want {
		ts.Fatalf("exit code %s, want %s", got, want)
	}
}

// ready waits until the script's server answers.
func ready(ts *testscript.TestScript, _ bool, _ []string) {
	url := "http://" + ts.Getenv("HTTP") + "/readyz"
	poll(ts, url+" answers", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// waitfor FILE: a file is there and not empty.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	path := filepath.Join(ts.Getenv("WORK"), args[0])
	poll(ts, args[0]+" is written", func() bool {
		info, err := os.Stat(path)
		return err == nil && info.Size() > 0
	})
}

func poll(ts *testscript.TestScript, what string, ok func() bool) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if ok() {
			return
		}
		<-tick.C
	}
	ts.Fatalf("10 s have passed and not: %s", what)
}
