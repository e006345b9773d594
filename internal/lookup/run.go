package lookup

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ringpath/ringpath/internal/phone"
)

// run is one lookup under way.
type run struct {
	engine *Engine
	l      *Lookup
	req    *Request
	start  time.Time
	msg    message
	trace  *Trace
	out    Outcome
	show   map[string]string
}

// param notes a word for the trace's sentence.
func (x *run) param(name, value string) {
	if value == "" {
		return
	}
	if x.trace.params == nil {
		x.trace.params = make(map[string]string, 4)
	}
	x.trace.params[name] = x.trace.masks.clip(value, maxValue)
}

// end makes the outcome.
func (x *run) end(exit Exit, reason Reason) Outcome {
	x.out.Exit, x.out.Reason = exit, reason
	x.out.Show, x.out.Trace = x.show, x.trace
	x.out.Dur = time.Since(x.start)
	t := x.trace
	t.exit, t.reason, t.spent, t.show = exit, reason, x.out.Dur, x.show
	t.host = x.l.url.host
	return x.out
}

// choose reads the answer: the values in order, until one is somebody.
func (x *run) choose(ctx context.Context, body []byte) Outcome {
	last := x.trace.attempts[len(x.trace.attempts)-1]
	found, reason := extract(ctx, body, x.l.paths)
	if reason != "" {
		if ctx.Err() == context.Canceled {
			reason = ReasonCancelled
		}
		last.reason = reason
		return x.end(Failed, reason)
	}
	x.facts(body, found[x.l.values:])
	n := 0
	for i, f := range found[:x.l.values] {
		for _, h := range f.hits {
			if n++; n > maxHits || !x.l.takeAll && !x.out.Target.IsZero() {
				break
			}
			x.try(x.l.paths[i], h, body[h.start:h.end])
		}
	}
	switch {
	case !x.out.Target.IsZero():
		return x.end(Matched, "")
	case n > 0:
		first := x.trace.candidates[0]
		x.out.Value = first.value
		x.param("value", first.value)
		return x.end(UnknownTarget, first.reason)
	}
	x.param("path", x.l.paths[0].source)
	return x.end(NoMatch, found[0].reason)
}

// maxValue is how much of a value is kept, in bytes.
const maxValue = 1 << 10

// try reads one value and looks for whom it names.
func (x *run) try(p *path, h hit, raw []byte) {
	c := candidate{path: p.source, pointer: h.pointer, start: h.start, end: h.end}
	target, state := phone.Target{}, phone.Availability("")
	named, ok := x.name(&c, raw)
	if ok {
		target, state, c.reason = x.req.Resolve(named)
		c.read = string(named.Number)
	}
	if c.reason == "" && !target.IsZero() {
		c.target, c.state = target, state
		if x.out.Target.IsZero() {
			x.out.Target, x.out.Value = target, c.value
			x.param("value", c.value)
			x.trace.chosen = len(x.trace.candidates)
		}
		if !slices.Contains(x.out.Candidates, target) {
			x.out.Candidates = append(x.out.Candidates, target)
		}
	}
	x.trace.candidates = append(x.trace.candidates, c)
}

// name reads a value: trimmed, mapped, then by its type.
func (x *run) name(c *candidate, raw []byte) (named Named, ok bool) {
	if !isScalar(raw) {
		c.value = x.trace.masks.clip(string(raw), maxValue)
		named, c.reason = x.l.readObject(raw, x.req.Region)
		return named, c.reason == ""
	}
	text := textOf(raw)
	c.value = x.trace.masks.clip(text, maxValue)
	if r, mapped := x.l.mapped(text); mapped {
		c.mapped = r.value
		if r.isTarget {
			return r.target, true
		}
		text = r.value
	}
	named, c.reason = x.l.read(text, x.req.Region)
	return named, c.reason == ""
}

// maxFact is how long a fact may be, in bytes.
const maxFact = 256

// facts takes response.show.
func (x *run) facts(body []byte, found []finding) {
	for i, f := range found {
		if len(f.hits) == 0 {
			continue
		}
		h := f.hits[0]
		if fact := x.trace.masks.clip(clean(textOf(body[h.start:h.end])), maxFact); fact != "" {
			if x.show == nil {
				x.show = make(map[string]string, len(found))
			}
			x.show[x.l.facts[i]] = fact
		}
	}
}

// clean makes control characters spaces: a fact is one line.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// clip cuts a text to at most n bytes, at a character's end.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
