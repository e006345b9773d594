package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter counts the requests of each key in the running minute of the clock.
type limiter struct {
	perMinute int // 0: no limit
	now       func() time.Time

	mu     sync.Mutex
	minute int64          // since 1970
	used   map[string]int // by key id, this minute. Only keys that exist: bounded
}

// quota is what a key may still ask.
type quota struct {
	limit, remaining int
	reset            time.Time // when it is full again
	over             bool
}

// take counts one request of key; the empty key only looks.
func (l *limiter) take(key string) quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := l.now().Unix() / 60
	if minute != l.minute || l.used == nil {
		l.minute, l.used = minute, make(map[string]int)
	}
	q := quota{limit: l.perMinute, remaining: l.perMinute, reset: time.Unix((minute+1)*60, 0)}
	if key == "" || l.perMinute == 0 {
		return q
	}
	if l.used[key] >= l.perMinute {
		q.remaining, q.over = 0, true
		return q
	}
	l.used[key]++
	q.remaining -= l.used[key]
	return q
}

func (q quota) header(h http.Header) {
	h.Set("X-AircallApi-Limit", strconv.Itoa(q.limit))
	h.Set("X-AircallApi-Remaining", strconv.Itoa(q.remaining))
	h.Set("X-AircallApi-Reset", strconv.FormatInt(q.reset.Unix(), 10))
}
