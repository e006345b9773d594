// Package registrar knows which phones are registered (RFC 3261 §10) and whether
// somebody is who they say (digest, RFC 7616 and RFC 8760).
//
// It knows no SIP message: package sip reads and writes those. Bindings live in
// memory; after a restart phones register again. Its timers are its own and end
// with Close.
package registrar
