// Package sip is the phone network of SIP phones and trunks: a back-to-back user
// agent (RFC 3261, RFC 5853) behind the contracts of package phone.
//
// It turns an INVITE that may come in into a phone.IncomingLeg and hands it to
// the Handler; it dials outgoing legs, registers phones, and joins two answered
// legs with each other and their media. It decides nothing about calls: who is
// rung, for how long and who wins is asked of it from outside.
//
// One call is one call value with one lock, which every leg of it shares: a
// CANCEL, an answer and a BYE that arrive together are decided by who takes it
// first. Messages of strangers meet, in this order: guard (bytes and rates),
// validate (what sipgo's parser lets through), identify (trunk by source, phone
// by digest). Nothing of theirs gets further.
//
// Server owns its listeners, its timers and one goroutine for each call that the
// Handler serves; Close ends them all. Messages and transactions are in the
// package stack below.
package sip
