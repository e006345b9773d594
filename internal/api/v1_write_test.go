package api

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ringpath/ringpath/internal/access"
)

// createdAt is the one field of the directory's objects that the clock makes.
var createdAt = regexp.MustCompile(`"created_at":"[^"]+"`)

func TestWriteUsers(t *testing.T) {
	r := newRig(t)
	steps := []struct {
		method, path, body string
		status             int
		want               string // in the answer
	}{
		{"POST", "/v1/users", `{"email":"dora@example.com","first_name":"Dora","last_name":"Agent"}`, 201, `"name":"Dora Agent"`},
		{"GET", "/v1/users/dora@example.com", "", 200, `"name":"Dora Agent"`},
		{"POST", "/v1/users", `{"email":"Dora@example.com","name":"Dora Two"}`, 422, "another user has it"},
		{"POST", "/v1/users", `{"email":"eve@example.com"}`, 400, "needs email, and name"},
		{"POST", "/v1/users", `{"email":"not an address","name":"Eve"}`, 422, "email"},
		{"POST", "/v1/users", `{"name":`, 400, "broken"},
		{"POST", "/v1/users", `[]`, 400, "JSON object"},
		{"POST", "/v1/users", ``, 400, "JSON object"},
		{"POST", "/v1/users", `{"email":5,"name":"Eve"}`, 400, "wrong type"},
		{"PUT", "/v1/users/456", `{"last_name":"Adams"}`, 200, `"name":"Ada Adams"`},
		{"PUT", "/v1/users/456", `{"wrap_up_time":0,"id":5,"direct_link":"x","unknown":true}`, 200, `"wrap_up_time":0`},
		{"PUT", "/v1/users/456", `{"availability_status":"available"}`, 200, `"name":"Ada Adams"`},
		{"PUT", "/v1/users/456", `{"availability_status":"unavailable"}`, 422, "availability_status"},
		{"PUT", "/v1/users/456", `{"time_zone":"America/New_York"}`, 200, ""},
		{"PUT", "/v1/users/456", `{"time_zone":"Asia/Tokyo"}`, 422, "time_zone"},
		{"PUT", "/v1/users/456", `{"email":"ben@example.com"}`, 422, ""},
		{"PUT", "/v1/users/456", `{"wrap_up_time":30}`, 422, "wrap_up_time"},
		{"PUT", "/v1/users/999", `{}`, 404, "user 999"},
		{"DELETE", "/v1/users/458", "", 422, ""}, // the flow main names her
		{"GET", "/v1/users/458", "", 200, ""},
		{"DELETE", "/v1/users/457", "", 204, ""}, // out of the team too
		{"GET", "/v1/users/457", "", 404, ""},
		{"GET", "/v1/teams/7", "", 200, `"users":[{"id":456,`},
		{"DELETE", "/v1/users/457", "", 404, ""},
	}
	for _, s := range steps {
		w := r.do(access.V1Write, s.method, s.path, s.body)
		if w.Code != s.status || !strings.Contains(w.Body.String(), s.want) {
			t.Errorf("%s %s %s: got %d %s, want %d with %q", s.method, s.path, s.body, w.Code, w.Body, s.status, s.want)
		}
		if s.status == 204 && w.Body.Len() > 0 {
			t.Errorf("%s %s: a 204 has a body", s.method, s.path)
		}
	}
	// A user written by /v1 keeps what /v1 does not know: the phone's password.
	if _, ok := r.dir.Snapshot().Account("ada"); !ok {
		t.Error("the user has lost their phone")
	}
}

func TestWriteTeamsAndNumbers(t *testing.T) {
	r := newRig(t)
	steps := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"POST", "/v1/teams", `{"name":"Night"}`, 201, `"users":[]`},
		{"POST", "/v1/teams", `{"name":"night"}`, 422, "another team has it"},
		{"POST", "/v1/teams", `{}`, 400, "name"},
		{"PUT", "/v1/teams/8", `{"name":"Sales"}`, 200, `"name":"Sales"`},
		{"PUT", "/v1/teams/8", `{"name":"Support"}`, 422, ""},
		{"POST", "/v1/teams/8/users/456", "", 204, ""},
		{"POST", "/v1/teams/8/users/ben@example.com", "", 204, ""},
		{"POST", "/v1/teams/8/users/456", "", 204, ""},
		{"GET", "/v1/teams/8", "", 200, `"users":[{"id":458,`},
		{"POST", "/v1/teams/8/users/999", "", 404, ""},
		{"POST", "/v1/teams/999/users/456", "", 404, ""},
		{"DELETE", "/v1/teams/8/users/458", "", 204, ""},
		{"GET", "/v1/teams/8", "", 200, `"users":[{"id":456,`},
		{"DELETE", "/v1/teams/8/users/458", "", 204, ""},
		{"DELETE", "/v1/teams/7", "", 422, ""}, // the flow main names it
		{"PUT", "/v1/numbers/1", `{"name":"Front desk","priority":0}`, 200, `"name":"Front desk"`},
		{"PUT", "/v1/numbers/1", `{"name":"Front desk","messages":{},"open":true}`, 200, `"name":"Front desk"`},
		{"PUT", "/v1/numbers/1", `{"messages":{"welcome":"https://example.com/a.mp3"}}`, 422, "messages"},
		{"PUT", "/v1/numbers/1", `{"open":false}`, 422, "open"},
		{"PUT", "/v1/numbers/9", `{}`, 404, ""},
	}
	for _, s := range steps {
		w := r.do(access.V1Write, s.method, s.path, s.body)
		if w.Code != s.status || !strings.Contains(w.Body.String(), s.want) {
			t.Errorf("%s %s %s: got %d %s, want %d with %q", s.method, s.path, s.body, w.Code, w.Body, s.status, s.want)
		}
	}
}

// Members added at the same moment are all there afterwards.
func TestJoiningATeamTogether(t *testing.T) {
	r := newRig(t)
	var all sync.WaitGroup
	for _, id := range []string{"456", "457"} {
		all.Go(func() {
			if w := r.do(access.V1Write, http.MethodPost, "/v1/teams/8/users/"+id, ""); w.Code != 204 {
				t.Errorf("user %s: got %d %s", id, w.Code, w.Body)
			}
		})
	}
	all.Wait()
	team, _ := r.dir.Snapshot().Team(8)
	if len(team.Members) != 3 {
		t.Errorf("got members %v, want three", team.Members)
	}
}

func TestBodyTooLarge(t *testing.T) {
	r := newRig(t)
	body, _ := json.Marshal(map[string]string{"name": strings.Repeat("x", maxV1Body)})
	if w := r.do(access.V1Write, "PUT", "/v1/users/456", string(body)); w.Code != 413 {
		t.Errorf("got %d %s, want 413", w.Code, w.Body)
	}
}
