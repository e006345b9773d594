package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ringpath/ringpath/internal/access"
)

// BenchmarkSearchCalls is the tutorial's lookup for a caller with 20 calls: what
// each call costs here that looks itself up.
func BenchmarkSearchCalls(b *testing.B) {
	r := newRig(b)
	for n := range 20 {
		r.call(n, nil)
	}
	must(b, r.records.Flush(b.Context()))
	h := r.V1()
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequest(http.MethodGet, "/v1/calls/search?order=des&phone_number=%2B14155550123", nil)
		req.SetBasicAuth(r.keys[access.V1Read].id, r.keys[access.V1Read].token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}
