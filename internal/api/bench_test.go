package api

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/ringpath/ringpath/internal/access"
)

// BenchmarkSearchCalls is the tutorial's lookup, as a call that looks itself up
// makes it in process: the key, the search, the page.
func BenchmarkSearchCalls(b *testing.B) {
	for _, calls := range []int{3, 20} {
		b.Run(strconv.Itoa(calls), func(b *testing.B) { benchmarkSearch(b, calls) })
	}
}

func benchmarkSearch(b *testing.B, calls int) {
	r := newRig(b)
	for n := range calls {
		r.call(n, nil)
	}
	must(b, r.records.Flush(b.Context()))
	h := r.V1()
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		req := httptest.NewRequest(http.MethodGet, "/v1/calls/search?order=des&phone_number=%2B14155550123", nil)
		req.SetBasicAuth(r.keys[access.V1Read].id, r.keys[access.V1Read].token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpu is the process's user and system time, which other programs disturb less.
func cpu(tb testing.TB) time.Duration {
	var u syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
