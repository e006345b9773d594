// Package stack carries SIP messages: the transports of RFC 3261 §18 (UDP, TCP)
// and the transactions of §17 with RFC 6026, for the transaction user in
// package sip. Messages are parsed by sipgo and written by Request and Head.
//
// It has transactions of its own because the user must decide by itself, and
// under its own lock, whether a CANCEL or an answer came first; because messages
// of one socket are to be handled in their order; and because a finished
// transaction keeps the bytes that it may have to repeat and nothing else.
//
// It does not know what a call is, and who may send what: Options.Admit sees
// bytes before they are parsed, Options.Handle sees each request once. It owns
// the sockets that it is given, and every goroutine and timer that it starts.
package stack
