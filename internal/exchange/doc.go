// Package exchange runs the calls. Each call is one goroutine that goes
//
//	incoming → deciding → ringing → talking → ended
//
// with a function per phase. Until somebody has answered, a second goroutine
// routes the call (it asks flow what to do next and has ring do it), and the
// call's own serves the caller: it repeats the ringing, and when the caller leaves
// it cancels the routing. A talking call is one goroutine with a small stack.
// There is one end, one cause, one record; when Serve returns, nothing of the
// call is left: no leg, no timer, no goroutine, no claim.
//
// It knows neither SIP nor HTTP nor SQL: it is given legs and the means to dial.
package exchange
