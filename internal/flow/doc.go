// Package flow says what happens to a call next. A flow is a list of steps that
// an administrator wrote; Compile checks one and makes it ready, Machine walks
// it: Next is told what happened and answers with one Action, the State to keep
// and the notes for the call's account.
//
// It knows no telephony, keeps nothing between two Next and starts no
// goroutine; it may block in a lookup, and nowhere else. Whoever carries out
// the actions (exchange, later an adapter to another phone system) keeps State.
package flow
