package standin

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is how much of a request's body the CRM reads, in bytes.
const maxBody = 64 << 10

// handler is the CRM's own face. The same question may be asked in three ways,
// as real CRMs want it: a POST with JSON, a GET with a query, a GET with the
// number in the path.
func (c *CRM) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /lookup", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Phone string }
		if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&body); err != nil {
			c.reply(w, r, "", http.StatusBadRequest, `{"error":"the body must be JSON with a phone"}`)
			return
		}
		c.lookup(w, r, body.Phone)
	})
	mux.HandleFunc("GET /lookup", func(w http.ResponseWriter, r *http.Request) {
		c.lookup(w, r, r.URL.Query().Get("phone"))
	})
	mux.HandleFunc("GET /callers/{phone}", func(w http.ResponseWriter, r *http.Request) {
		c.lookup(w, r, r.PathValue("phone"))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.reply(w, r, "", http.StatusNotFound, `{"error":"ask POST /lookup, GET /lookup?phone= or GET /callers/{phone}"}`)
	})
	return mux
}

// lookup answers one question, as ill as the CRM is.
func (c *CRM) lookup(w http.ResponseWriter, r *http.Request, caller string) {
	if c.Mode() == Hang {
		c.note(r, caller, 0)
		c.hang(r.Context())
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	if !c.allowed(r) {
		c.reply(w, r, caller, http.StatusUnauthorized, `{"error":"bearer token missing or wrong"}`)
		return
	}
	c.mu.Lock()
	b, answer := c.behaviour, c.answers[digits(caller)]
	if c.behaviour.Times == 1 {
		c.behaviour = Behaviour{}
	} else if c.behaviour.Times > 1 {
		c.behaviour.Times--
	}
	c.mu.Unlock()

	if b.Delay > 0 {
		select {
		case <-time.After(b.Delay):
		case <-r.Context().Done():
			c.note(r, caller, 0)
			return
		}
	}
	if answer == "" {
		answer = Nobody()
	}
	if b.Body != "" {
		answer = b.Body
	}
	if b.Status == 0 {
		b.Status = http.StatusOK
	}
	c.reply(w, r, caller, b.Status, answer)
}

func (c *CRM) allowed(r *http.Request) bool {
	if c.opts.Token == "" {
		return true
	}
	got, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		got = r.URL.Query().Get("api_key")
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(c.opts.Token)) == 1
}

// reply notes the request before it answers, so that whoever has the answer finds
// the request in the list.
func (c *CRM) reply(w http.ResponseWriter, r *http.Request, caller string, status int, body string) {
	c.note(r, caller, status)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client may have left; that is its business
}

func (c *CRM) note(r *http.Request, caller string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.requests) == maxRequests {
		c.requests = c.requests[1:]
	}
	c.requests = append(c.requests, Request{At: time.Now(), Method: r.Method, Path: r.URL.Path, Phone: caller, Status: status})
}

// controlHandler lets somebody break the CRM by hand:
//
//	curl -X POST http://127.0.0.1:PORT/control/down
func (c *CRM) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /control/{mode}", func(w http.ResponseWriter, r *http.Request) {
		if err := c.SetMode(Mode(r.PathValue("mode"))); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "The CRM is %s.\n", c.Mode())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "The CRM is %s. Change it with POST /control/up, /control/down or /control/hang.\n", c.Mode())
	})
	return mux
}
