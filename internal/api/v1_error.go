package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/ringpath/ringpath/internal/phone"
)

// v1Error is an answer of /v1 that is no success. Refusals at the door have
// only a message, everything else says what is wrong and what would be right.
type v1Error struct {
	Status       int    `json:"-"`
	Message      string `json:"message,omitempty"`
	Name         string `json:"error,omitempty"`
	Troubleshoot string `json:"troubleshoot,omitempty"`
}

func (e *v1Error) Error() string { return e.Name + e.Message + ": " + e.Troubleshoot }

var (
	errUnauthorized = &v1Error{Status: http.StatusUnauthorized, Message: "Unauthorized"}
	errForbidden    = &v1Error{Status: http.StatusForbidden, Message: "Forbidden"}
	errNoPath       = &v1Error{Status: http.StatusNotFound, Message: "Not Found"}
)

func badRequest(format string, args ...any) error {
	return trouble(http.StatusBadRequest, fmt.Sprintf(format, args...))
}

func unprocessable(format string, args ...any) error {
	return trouble(http.StatusUnprocessableEntity, fmt.Sprintf(format, args...))
}

func notFound(what, id string) error {
	return trouble(http.StatusNotFound, fmt.Sprintf("there is no %s %s", what, clip(id, 80)))
}

func tooMany(text string) error { return trouble(http.StatusTooManyRequests, text) }

func trouble(status int, text string) *v1Error {
	return &v1Error{Status: status, Name: http.StatusText(status), Troubleshoot: text}
}

// v1Of turns any error into an answer. What is not meant for a stranger stays out.
func v1Of(err error) *v1Error {
	var e *v1Error
	if errors.As(err, &e) {
		return e
	}
	status := statusOf(phone.KindOf(err))
	switch phone.KindOf(err) {
	case phone.Invalid, phone.Conflict:
		status = http.StatusUnprocessableEntity // well-formed, but it cannot be done
	}
	return trouble(status, phone.TextOf(err))
}

// statusOf is the one table from a kind of error to an HTTP status.
func statusOf(k phone.Kind) int {
	switch k {
	case phone.Invalid:
		return http.StatusBadRequest
	case phone.NotFound:
		return http.StatusNotFound
	case phone.Denied:
		return http.StatusForbidden
	case phone.Conflict:
		return http.StatusConflict
	case phone.Busy:
		return http.StatusTooManyRequests
	case phone.Unreachable:
		return http.StatusBadGateway
	case phone.Timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// kindOf is statusOf read backwards, for the client.
func kindOf(status int) phone.Kind {
	switch status {
	case http.StatusNotFound:
		return phone.NotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return phone.Denied
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired:
		return phone.Conflict
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return phone.Busy
	case http.StatusBadGateway:
		return phone.Unreachable
	case http.StatusGatewayTimeout:
		return phone.Timeout
	}
	if status >= 400 && status < 500 {
		return phone.Invalid
	}
	return phone.Internal
}

// writeJSON answers with a JSON body, or without any when body is nil.
func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if l, ok := body.(list); ok { // the encoder would read a page twice
		if text, err := l.MarshalJSON(); err == nil {
			_, _ = w.Write(append(text, '\n'))
		}
		return
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // a client that went away is its own affair
}

// clip shortens what a stranger sent before it is quoted back, at a rune's edge.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
