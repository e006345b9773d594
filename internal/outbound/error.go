package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
)

// Class says what stopped a request.
type Class string

const (
	Blocked   Class = "blocked_address" // the guard refused the address
	DNS       Class = "dns"
	Refused   Class = "refused" // nobody listens, or no way there
	Reset     Class = "reset"   // the connection broke, or what came back is not HTTP
	TLS       Class = "tls"
	Timeout   Class = "timeout"
	TooLarge  Class = "too_large" // response headers over 64 KiB
	Cancelled Class = "cancelled" // the caller's context was cancelled
)

// Error is what Do and a response's body fail with.
type Error struct {
	Class Class
	// Unsent: not one byte of the request went out, so that it may be sent again
	// whatever it is.
	Unsent bool
	Err    error
}

func (e *Error) Error() string { return string(e.Class) + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// ErrBlocked is in the chain of every error of class Blocked.
var ErrBlocked = errors.New("address not allowed")

// ClassOf classes an error of Do or of reading a body; Reset if nothing better fits.
func ClassOf(err error) Class {
	var (
		own      *Error
		dns      *net.DNSError
		record   tls.RecordHeaderError
		alert    tls.AlertError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &own):
		return own.Class
	case errors.Is(err, ErrBlocked):
		return Blocked
	case errors.Is(err, context.Canceled):
		return Cancelled
	case isTimeout(err):
		return Timeout
	case errors.As(err, &dns):
		return DNS
	case errors.As(err, &record), errors.As(err, &alert), errors.As(err, &verify),
		errors.As(err, &unknown), errors.As(err, &hostname):
		return TLS
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH),
		errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Refused
	}
	return Reset
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || errors.As(err, &n) && n.Timeout()
}
