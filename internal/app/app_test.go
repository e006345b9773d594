package app_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/app"
	"github.com/ringpath/ringpath/internal/config"
	"github.com/ringpath/ringpath/internal/phone"
)

func settings(t *testing.T) config.Settings {
	s := config.Default()
	s.Data = filepath.Join(t.TempDir(), "data")
	s.HTTP.Listen = "127.0.0.1:0"
	s.SIP.Listen = []config.Listener{{Network: "udp", Addr: "127.0.0.1:0"}, {Network: "tcp", Addr: "127.0.0.1:0"}}
	return s
}

// run runs the app until the returned function is called.
func run(t *testing.T, a *app.App) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("the app does not end")
			return nil
		}
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestOpenRunClose(t *testing.T) {
	before := runtime.NumGoroutine()
	s := settings(t)
	s.Metrics.Listen = "127.0.0.1:0"
	a, err := app.Open(t.Context(), app.Options{Settings: s, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, a)
	base := "http://" + a.HTTPAddr().String()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404, "/v1/ping": 401, "/docs/v1": 200, "/api/health": 401} {
		if got, _ := get(t, base+path); got != want {
			t.Errorf("GET %s: %d, want %d", path, got, want)
		}
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "key": 0o600, "ringpath.db": 0o600, "ringpath.sock": 0o600} {
		info, err := os.Stat(filepath.Join(s.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %o, want %o", name, got, want)
		}
	}
	if a.SIPAddr().Port() == 0 {
		t.Error("the SIP port is not known")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	for range 100 { // goroutines that have returned may still be counted for a moment
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
		<-time.After(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines are left:\n%s", runtime.NumGoroutine()-before, stacks[:runtime.Stack(stacks, true)])
}

func TestTwoServersOnOneDataDirectory(t *testing.T) {
	s := settings(t)
	a, err := app.Open(t.Context(), app.Options{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, a)
	_, err = app.Open(t.Context(), app.Options{Settings: s})
	if phone.KindOf(err) != phone.Conflict || !strings.Contains(err.Error(), s.Data) {
		t.Errorf("the second server: %v, want a conflict that names the directory", err)
	}
	if got, _ := get(t, "http://"+a.HTTPAddr().String()+"/readyz"); got != 200 {
		t.Errorf("the first server answers %d after the second was refused", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	// The socket of a server that was killed is replaced.
	if err := os.WriteFile(filepath.Join(s.Data, "ringpath.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a, err = app.Open(t.Context(), app.Options{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t, a)(); err != nil {
		t.Error(err)
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	s := settings(t)
	a, err := app.Open(t.Context(), app.Options{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, a)
	other := settings(t)
	other.HTTP.Listen = a.HTTPAddr().String()
	if _, err := app.Open(t.Context(), app.Options{Settings: other}); phone.KindOf(err) != phone.Unreachable || !strings.Contains(err.Error(), other.HTTP.Listen) {
		t.Errorf("HTTP: %v", err)
	}
	other = settings(t)
	other.SIP.Listen = []config.Listener{{Network: "udp", Addr: a.SIPAddr().String()}}
	if _, err := app.Open(t.Context(), app.Options{Settings: other}); phone.KindOf(err) != phone.Unreachable || !strings.Contains(err.Error(), a.SIPAddr().String()) {
		t.Errorf("SIP: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
