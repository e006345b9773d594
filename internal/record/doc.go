// Package record keeps the account of each call: who called whom, every step
// with its reason, who was rung, who answered, when, and what the lookup saw.
//
// The call's own goroutine writes its Call; Writer takes it over and stores it
// behind the call's back (the call path touches no disk). Store is what a
// database must do; internal/store does it.
package record
