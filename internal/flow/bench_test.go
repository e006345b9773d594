package flow

import (
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/phone"
)

// BenchmarkNext is the whole decision of a routed call: the question to an API on
// loopback, its answer of 2 KiB, and the trace as the call keeps it.
func BenchmarkNext(b *testing.B) {
	bench := newBench(b, map[string]string{"main": `
- ring_to_api: {url: "API/v1/calls/search?phone_number={{callerNumber}}", response: {path: "calls[0].user.id"}}
- hang_up: {}`})
	bench.body = `{"calls":[{"id":1,"user":{"id":1,"name":"Ann"}}],"pad":"` + strings.Repeat("x", 2048) + `"}`
	b.ReportAllocs()
	for b.Loop() {
		res, err := bench.machine.Next(b.Context(), bench.state, Event{Kind: Begin})
		if err != nil || res.Do.Kind != Ring || res.Do.Targets[0] != phone.UserTarget(1) {
			b.Fatalf("got %+v, %v", res.Do, err)
		}
	}
}
