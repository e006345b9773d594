// Package exchange runs the calls. Each call is one goroutine that goes
//
//	incoming → deciding → ringing → talking → ended
//
// with a function per phase, each with its own select and its own timers. It asks
// flow what to do next, has ring and bridge do it, and writes the call's record.
// There is one end, one cause, one record; when Serve returns, nothing of the
// call is left: no leg, no timer, no goroutine, no claim.
//
// It knows neither SIP nor HTTP nor SQL: it is given legs and the means to dial.
package exchange
