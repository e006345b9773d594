package api

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/access"
)

func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	post := func(scope access.Scope, key, body string) *httptest.ResponseRecorder {
		return r.do(scope, "POST", "/api/keys", body, "Idempotency-Key", key)
	}
	first := post(access.APIWrite, "a", `{"name":"CRM"}`)
	again := post(access.APIWrite, "a", `{"name":"CRM"}`)
	if first.Code != 201 || again.Code != 201 || first.Body.String() != again.Body.String() || again.Header().Get("ETag") == "" ||
		again.Header().Get("Content-Type") != first.Header().Get("Content-Type") {
		t.Fatalf("got %d %s, repeated %d %s, want the same", first.Code, first.Body, again.Code, again.Body)
	}
	for _, tt := range []struct {
		name       string
		scope      access.Scope
		key, body  string
		status     int
		want, made string
	}{
		{"another body", access.APIWrite, "a", `{"name":"other"}`, 422, `"code":"idempotency_key"`, "other"},
		{"another key", access.APIWrite, "b", `{"name":"CRM 2"}`, 201, `"token"`, ""},
		{"without the right", access.APIRead, "a", `{"name":"CRM"}`, 403, `"code":"scope"`, ""},
		{"a key too long", access.APIWrite, strings.Repeat("k", 256), `{"name":"x"}`, 400, `Idempotency-Key`, "x"},
		{"a body too large", access.APIWrite, "c", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, 413, `"too_large"`, ""},
		{"a faulty body", access.APIWrite, "d", `{"name":""}`, 422, `/name`, ""},
		{"a faulty body again", access.APIWrite, "d", `{"name":""}`, 422, `/name`, ""},
	} {
		w := post(tt.scope, tt.key, tt.body)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: got %d %.200s, want %d with %s", tt.name, w.Code, w.Body, tt.status, tt.want)
		}
	}
	export := func() *httptest.ResponseRecorder {
		return r.do(access.APIWrite, "POST", "/api/privacy/export", `{"number":"+14155550123"}`, "Idempotency-Key", "p")
	}
	c := r.call(0, nil)
	if w := export(); !strings.Contains(w.Body.String(), c.ID.String()) {
		t.Fatalf("export: got %s", w.Body)
	}
	r.do(access.APIWrite, "POST", "/api/privacy/erase", `{"number":"+14155550123"}`, "Idempotency-Key", "e")
	if w := export(); strings.Contains(w.Body.String(), c.ID.String()) {
		t.Errorf("after erasing, the answer from before came back: %s", w.Body)
	}
	r.now = r.now.Add(24*time.Hour + time.Second)
	if w := post(access.APIWrite, "a", `{"name":"CRM"}`); w.Code != 201 || w.Body.String() == first.Body.String() {
		t.Errorf("after a day: got %d, want a new key", w.Code)
	}
}

func TestOnce(t *testing.T) {
	now := time.Unix(0, 0)
	o := &once{now: func() time.Time { return now }}
	request := func(key string, size, status int) *given {
		g := &given{key: key, at: now, answer: answer{header: http.Header{}, status: status}}
		g.body.Write(make([]byte, size))
		return g
	}
	if before, p := o.begin(&given{key: "a"}); before != nil || p != nil {
		t.Fatal(before, p)
	}
	if _, p := o.begin(&given{key: "a"}); p == nil || p.Code != "in_progress" {
		t.Errorf("while the first is worked on: got %v, want in_progress", p)
	}
	o.end(request("a", 0, 503))
	if before, p := o.begin(&given{key: "a"}); before != nil || p != nil {
		t.Errorf("after a 503: got %v, %v, want a second try", before, p)
	}
	o.end(request("a", 0, 0)) // it panicked
	for i := range 2 * maxAnswers {
		g := request(fmt.Sprint(i), 40<<10, 200)
		if _, p := o.begin(g); p != nil {
			t.Fatal(p)
		}
		o.end(g)
		if len(o.order) != len(o.known) || len(o.order) > maxAnswers || o.bytes > maxAnswerBytes {
			t.Fatalf("%d answers, %d known, %d bytes", len(o.order), len(o.known), o.bytes)
		}
	}
	if before, _ := o.begin(request(fmt.Sprint(2*maxAnswers-1), 0, 0)); before == nil {
		t.Error("the newest answer is forgotten")
	}
}
