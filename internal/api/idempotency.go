package api

import (
	"bytes"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Bounds of what is remembered of POSTs with an Idempotency-Key. What does not
// fit lets the oldest go.
const (
	keepAnswer     = 24 * time.Hour
	maxAnswers     = 1000
	maxAnswerBytes = 16 << 20
	maxOnceKey     = 255 // characters of the header
)

// once has a POST with an Idempotency-Key done once: its repetition gets the
// first one's answer (draft-ietf-httpapi-idempotency-key-header). Answers are
// kept in memory alone, for some have a secret in them: a restart forgets them.
type once struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]*given
	order []*given // oldest first
	bytes int      // of answers in order
}

// given is an answer, or a request that is still being worked on.
type given struct {
	key  string
	sent [sha256.Size]byte // of the request's body
	at   time.Time
	done bool // the answer is whole; before, it is the handler's
	answer
}

// answer is an http.ResponseWriter that keeps what it is told.
type answer struct {
	status int // 0: none yet
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}

// middleware stands behind the door: a key is that of whoever sends it.
func (o *once) middleware(ctx huma.Context, next func(huma.Context)) {
	r, w := humago.Unwrap(ctx)
	name := r.Header.Get("Idempotency-Key")
	if name == "" {
		next(ctx)
		return
	}
	// One byte more than may be sent is left for the handler to refuse.
	body, err := io.ReadAll(io.LimitReader(r.Body, ctx.Operation().MaxBodyBytes+1))
	if err != nil || len(name) > maxOnceKey {
		writeProblem(w, problem(http.StatusBadRequest, "invalid", "the body broke off, or Idempotency-Key has more than %d characters", maxOnceKey))
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	who := signedIn(ctx.Context())
	now := &given{key: strings.Join([]string{who.key, r.URL.Path, name}, "\x00"), sent: sha256.Sum256(body),
		at: o.now(), answer: answer{header: http.Header{}}}
	before, p := o.begin(now)
	switch {
	case p != nil:
		writeProblem(w, p)
	case before != nil:
		before.send(w)
	default:
		defer o.end(now) // a handler that panics must not hold the key
		next(huma.WithValue(humago.NewContext(ctx.Operation(), r, now), identityKey, who))
		now.send(w)
	}
}

// begin notes a request; or says what was answered to it before, or what is
// wrong with asking again.
func (o *once) begin(now *given) (before *given, p *Problem) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget(now.at.Add(-keepAnswer), 1)
	before, ok := o.known[now.key]
	switch {
	case !ok:
		if o.known == nil {
			o.known = map[string]*given{}
		}
		o.known[now.key] = now
		return nil, nil
	case before.sent != now.sent:
		return nil, problem(http.StatusUnprocessableEntity, "idempotency_key", "this Idempotency-Key was sent with another body before")
	case !before.done:
		return nil, problem(http.StatusConflict, "in_progress", "the first request with this Idempotency-Key is still being worked on")
	}
	return before, nil
}

// end keeps an answer. One that says to try again is not the last word.
func (o *once) end(now *given) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now.status == 0 || now.status >= 500 || now.status == http.StatusTooManyRequests || now.body.Len() > maxAnswerBytes {
		delete(o.known, now.key)
		return
	}
	now.done = true
	o.order = append(o.order, now)
	o.bytes += now.body.Len()
	o.forget(time.Time{}, 0)
}

// clear drops all answers: some may be about a person who is being erased.
func (o *once) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, g := range o.order {
		delete(o.known, g.key)
	}
	o.order, o.bytes = nil, 0
}

// forget drops answers from before a time, and as many more as make room.
func (o *once) forget(before time.Time, room int) {
	n := 0
	for n < len(o.order) && (o.order[n].at.Before(before) || len(o.order)-n+room > maxAnswers || o.bytes > maxAnswerBytes) {
		o.bytes -= o.order[n].body.Len()
		delete(o.known, o.order[n].key)
		n++
	}
	o.order = slices.Delete(o.order, 0, n)
}
