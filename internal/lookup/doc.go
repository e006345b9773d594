// Package lookup asks an API whom a call is for: template → credential → fetch
// → path → value, with a trace of everything that happened.
//
// Compile checks what an administrator wrote and parses all of it; Engine.Run
// asks once for one call and always ends in one of four exits with a reason.
// Nothing is parsed at call time but the answer.
//
// It knows no directory: Resolve, given by internal/flow, turns what an answer
// says into a target. It knows no flow either: what a call does with an exit is
// decided there. It starts no goroutine of its own and keeps nothing of a call;
// the Trace that Run returns belongs to the caller.
package lookup
