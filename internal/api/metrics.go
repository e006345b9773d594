package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringpath/ringpath/internal/record"
)

// maxHosts bounds the label "host": the hosts of lookups stand in documents,
// which are long-lived, but a template could never make more series than this.
const maxHosts = 50

// Metrics are the program's counters, in a registry of their own. The parts of
// the program call its methods; every method is safe at any time, also on nil.
//
// No label holds a number, a name or anything else that a stranger chooses.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	lookups  *prometheus.HistogramVec
	rings    prometheus.Histogram
	sip      *prometheus.CounterVec

	mu    sync.Mutex
	hosts map[string]bool // those that have a series of their own
}

// NewMetrics makes the counters, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		hosts:    make(map[string]bool),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringpath_calls_total",
			Help: "Calls that ended, by exit and reason of their first lookup (exit \"none\": no lookup) and whether somebody answered.",
		}, []string{"exit", "reason", "result"}),
		lookups: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ringpath_lookup_seconds",
			Help:    "Time that a lookup took, retries included, by host.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 3, 5, 10},
		}, []string{"host"}),
		rings: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ringpath_ring_seconds",
			Help:    "Time from the first INVITE to a phone until the answer, or until nothing rang any more.",
			Buckets: []float64{1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300},
		}),
		sip: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ringpath_sip_responses_total",
			Help: "Final SIP responses, sent and received, by method and status.",
		}, []string{"method", "status"}),
	}
	m.registry.MustRegister(m.calls, m.lookups, m.rings, m.sip,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a number that is read when somebody looks: "active_calls",
// "registrations". It panics on a name that is there already: a fault in wiring.
func (m *Metrics) Gauge(name, help string, value func() int) {
	if m == nil {
		return
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "ringpath_" + name, Help: help},
		func() float64 { return float64(value()) }))
}

// CallEnded counts a call when its record is closed.
func (m *Metrics) CallEnded(c *record.Call) {
	if m == nil {
		return
	}
	exit, reason := firstLookup(c)
	result := "missed"
	if !c.AnsweredAt.IsZero() {
		result = "answered"
	}
	m.calls.WithLabelValues(exit, reason, result).Inc()
	if d, ok := rangFor(c); ok {
		m.rings.Observe(d.Seconds())
	}
}

// firstLookup is the exit and reason that decided where the call went first.
// Both come from the closed lists of lookup.md section 5, never from an answer.
func firstLookup(c *record.Call) (exit, reason string) {
	for _, n := range c.Steps {
		if n.Kind == "ring_to_api" {
			return n.Exit, n.Reason
		}
	}
	return "none", ""
}

// rangFor is how long the call rang, false when nobody was rung.
func rangFor(c *record.Call) (time.Duration, bool) {
	if len(c.Offers) == 0 {
		return 0, false
	}
	from, to := c.Offers[0].At, c.AnsweredAt
	for _, o := range c.Offers {
		if o.At.Before(from) {
			from = o.At
		}
		if c.AnsweredAt.IsZero() && o.EndedAt.After(to) {
			to = o.EndedAt
		}
	}
	return max(to.Sub(from), 0), true
}

// Lookup counts the time of one lookup to host (host:port as in the URL).
func (m *Metrics) Lookup(host string, took time.Duration) {
	if m == nil {
		return
	}
	m.lookups.WithLabelValues(m.host(host)).Observe(took.Seconds())
}

func (m *Metrics) host(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hosts[name] {
		return name
	}
	if len(m.hosts) == maxHosts {
		return "other"
	}
	m.hosts[name] = true
	return name
}

// SIPResponse counts a final response to or from us.
func (m *Metrics) SIPResponse(method string, status int) {
	if m == nil || status < 200 {
		return
	}
	switch method {
	case "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "INFO", "UPDATE",
		"PRACK", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH":
	default:
		method = "other" // a stranger chooses this word
	}
	code := "other"
	if status < 700 {
		code = strconv.Itoa(status)
	}
	m.sip.WithLabelValues(method, code).Inc()
}

// Handler shows the metrics in Prometheus' text form. It asks for no key:
// whoever mounts it on a listener of its own decides who reaches that.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
