// Package presence is the one owner of "who is free": which users have a phone
// registered, which are claimed by a call, and which callers wait for them.
//
// A call takes a Ticket for each ringing step. Matching a freed user with the
// waiting ticket that comes first and claiming the user for it are one step
// under one lock, so no user is ever claimed by two calls (spec ringing.md, I3).
//
// It starts no goroutine and calls nobody back while it holds its lock.
package presence
