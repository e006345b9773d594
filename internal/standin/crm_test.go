package standin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, opts CRMOptions) *CRM {
	t.Helper()
	c := NewCRM(opts)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// ask sends a request and returns status and body.
func ask(t *testing.T, ctx context.Context, method, url, token, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestAnswers(t *testing.T) {
	c := start(t, CRMOptions{Token: "secret"})
	c.Answer("+1 415-555-0101", User("ada@example.test"))
	c.Answer("+14155550102", Team("Support"))
	c.Answer("+14155550103", External("+33140000000"))
	c.Answer("+14155550104", Number("+14155550100"))
	c.Answer("+14155550105", `{"owner":9999}`)
	c.Answer("+14155550106", User("gone@example.test"))
	c.Answer("+14155550106", "")

	tests := []struct {
		name, method, path, token, body string
		status                          int
		want                            string // in the body
	}{
		{"user by POST", "POST", "/lookup", "secret", `{"phone":"+14155550101"}`, 200, `"route":{"user":"ada@example.test"}`},
		{"team by query", "GET", "/lookup?phone=%2B14155550102", "secret", "", 200, `"route":{"team":"Support"}`},
		{"external by path", "GET", "/callers/+14155550103", "secret", "", 200, `"route":{"external":"+33140000000"}`},
		{"number, key in the query", "GET", "/lookup?phone=14155550104&api_key=secret", "", "", 200, `"route":{"number":"+14155550100"}`},
		{"own JSON", "POST", "/lookup", "secret", `{"phone":"+14155550105"}`, 200, `{"owner":9999}`},
		{"answer taken back", "POST", "/lookup", "secret", `{"phone":"+14155550106"}`, 200, `"route":null`},
		{"nobody known", "POST", "/lookup", "secret", `{"phone":"+14155550199"}`, 200, `"route":null`},
		{"no token", "POST", "/lookup", "", `{"phone":"+14155550101"}`, 401, "token"},
		{"wrong token", "POST", "/lookup", "secrets", `{"phone":"+14155550101"}`, 401, "token"},
		{"no JSON", "POST", "/lookup", "secret", `phone`, 400, "JSON"},
		{"other path", "GET", "/", "secret", "", 404, "ask"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, body, err := ask(t, t.Context(), tt.method, c.URL()+tt.path, tt.token, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%s %s = %d %q, want %d with %q", tt.method, tt.path, status, body, tt.status, tt.want)
			}
		})
	}
	if got := len(c.Requests()); got != len(tests) {
		t.Errorf("%d requests noted, want %d", got, len(tests))
	}
}

func TestModes(t *testing.T) {
	c := start(t, CRMOptions{})
	url := c.URL() + "/lookup?phone=1"
	up := func() {
		t.Helper()
		if status, _, err := ask(t, t.Context(), "GET", url, "", ""); err != nil || status != 200 {
			t.Fatalf("up: %d, %v, want 200", status, err)
		}
	}
	control := func(mode string) {
		t.Helper()
		if status, body, err := ask(t, t.Context(), "POST", c.ControlURL()+"/control/"+mode, "", ""); err != nil || status != 200 {
			t.Fatalf("control %s: %d %s, %v", mode, status, body, err)
		}
	}
	up() // leaves a kept-alive connection behind, which must not outlive down

	control("down")
	if _, _, err := ask(t, t.Context(), "GET", url, "", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("down: %v, want connection refused", err)
	}
	control("up")
	up()

	control("hang")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := ask(t, ctx, "GET", url, "", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("hang: %v, want no answer", err)
	}

	// A request that hangs when the CRM recovers gets no late answer.
	got := make(chan error, 1)
	go func() {
		_, _, err := ask(t, t.Context(), "GET", url, "", "")
		got <- err
	}()
	for len(c.Requests()) < 4 { // two up, one given up, this one
		select {
		case err := <-got:
			t.Fatalf("hanging request ended early: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	control("up")
	if err := <-got; err == nil {
		t.Fatal("hanging request was answered")
	}
	up()

	if status, _, _ := ask(t, t.Context(), "POST", c.ControlURL()+"/control/sideways", "", ""); status != 400 {
		t.Errorf("unknown mode: %d, want 400", status)
	}
}

func TestBehave(t *testing.T) {
	c := start(t, CRMOptions{})
	c.Answer("1", User("ada@example.test"))
	c.Behave(Behaviour{Status: 503, Body: "{}", Times: 2})
	for i, want := range []int{503, 503, 200} {
		status, _, err := ask(t, t.Context(), "GET", c.URL()+"/lookup?phone=1", "", "")
		if err != nil || status != want {
			t.Errorf("request %d: %d, %v, want %d", i, status, err, want)
		}
	}
	c.Behave(Behaviour{Delay: 30 * time.Millisecond})
	begin := time.Now()
	if _, _, err := ask(t, t.Context(), "GET", c.URL()+"/lookup?phone=1", "", ""); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 30*time.Millisecond {
		t.Errorf("answered after %s, want at least 30ms", took)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	c := NewCRM(CRMOptions{})
	r, _ := http.NewRequest("GET", "/lookup", nil)
	for range maxRequests + 5 {
		c.note(r, "1", 200)
	}
	if got := len(c.Requests()); got != maxRequests {
		t.Errorf("%d requests kept, want %d", got, maxRequests)
	}
}
