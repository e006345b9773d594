package api

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

// Bounds of a list in /v1.
const (
	defaultPerPage = 20
	maxPerPage     = 50
	maxRecords     = 10_000 // reachable by paging in one query
)

// firstMillisecond is the smallest value of from and to that can only be
// milliseconds by mistake: as seconds it lies in the year 5138.
const firstMillisecond = 100_000_000_000

// params reads query parameters and remembers the first fault, so that a
// handler reads all it wants and asks once. Parameters that nobody reads are
// ignored, as clients of this API expect.
type params struct {
	values url.Values
	err    error
}

// readParams takes the raw query apart. A query that cannot be read is a fault:
// net/http would drop the unreadable parameter, and a dropped phone_number
// finds everybody's calls.
func readParams(raw string) *params {
	values, err := url.ParseQuery(raw)
	p := &params{values: values}
	if err != nil {
		p.fault("the query string cannot be read: write %% as %%25, ; as %%3B and & inside a value as %%26")
	}
	return p
}

func (p *params) fault(format string, args ...any) {
	if p.err == nil {
		p.err = badRequest(format, args...)
	}
}

// text is the value of a parameter that may be given once, false when absent.
func (p *params) text(name string) (string, bool) {
	all := p.values[name]
	if len(all) > 1 {
		p.fault("%s is given %d times: give it once", name, len(all))
	}
	if len(all) == 0 {
		return "", false
	}
	return all[0], true
}

// oneOf is a parameter with a few values, without regard to letter case.
func (p *params) oneOf(name string, values ...string) string {
	text, ok := p.text(name)
	if !ok {
		return ""
	}
	for _, v := range values {
		if strings.EqualFold(text, v) {
			return v
		}
	}
	p.fault("%s is %q: it must be %s", name, clip(text, 40), strings.Join(values, " or "))
	return ""
}

// flag is true only when the parameter says so.
func (p *params) flag(name string) bool { return p.oneOf(name, "true", "false") == "true" }

// whole is a whole number from low to high, or absent.
func (p *params) whole(name string, low, high, absent int64) int64 {
	text, ok := p.text(name)
	if !ok {
		return absent
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < low || n > high {
		p.fault("%s is %q: it must be a whole number from %d to %d", name, clip(text, 40), low, high)
		return absent
	}
	return n
}

// second is a moment in UNIX seconds, zero when absent.
func (p *params) second(name string) time.Time {
	text, ok := p.text(name)
	if !ok {
		return time.Time{}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n < 0:
		p.fault("%s is %q: it must be a time in UNIX seconds, for example %d", name, clip(text, 40), exampleTime.Unix())
	case n > firstMillisecond:
		p.fault("%s is %d: these are milliseconds; it must be UNIX seconds, so write %d", name, n, n/1000)
	default:
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

// direction of calls, empty for both.
func (p *params) direction() record.Direction {
	return record.Direction(p.oneOf("direction", string(record.Inbound), string(record.Outbound)))
}

// newestFirst reads order. "des" is what the tutorial writes. Any other value
// is refused: a wrong order rings the wrong person.
func (p *params) newestFirst() bool {
	return strings.HasPrefix(p.oneOf("order", "asc", "desc", "des"), "des")
}

// outsideNumber reads phone_number, empty when absent.
func (p *params) outsideNumber(region string) phone.E164 {
	text, ok := p.text("phone_number")
	if !ok {
		return ""
	}
	if !strings.ContainsAny(text, "0123456789") {
		p.fault("phone_number is %q: it must be a phone number, for example %%2B14155550123; leave it out to search the calls of all numbers", clip(text, 40))
		return ""
	}
	n, err := readNumber(text, region)
	if err != nil {
		p.fault("phone_number is %q: %v (the plus is %%2B in a URL)", clip(text, 40), phone.ErrNumber)
	}
	return n
}

// readNumber reads a number out of a query, where a raw plus has become a space
// and is often left out.
//
// With a plus, or a space in its place, the number is international. Without,
// it is international too, unless that could be nobody's number while the same
// digits are somebody's in region.
func readNumber(text, region string) (phone.E164, error) {
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(text, " ") && !strings.HasPrefix(trimmed, "+") {
		return phone.ParseNumber("+"+trimmed, "")
	}
	if strings.HasPrefix(trimmed, "+") || strings.HasPrefix(trimmed, "00") {
		return phone.ParseNumber(trimmed, "")
	}
	abroad, errAbroad := phone.ParseNumber("+"+trimmed, "")
	home, errHome := phone.ParseNumber(trimmed, region)
	if errAbroad != nil {
		return home, errHome
	}
	if errHome == nil && assignable(home) && !assignable(abroad) {
		return home, nil
	}
	return abroad, nil
}

// assignable says that the number's country could give it to somebody.
func assignable(n phone.E164) bool {
	p, err := phonenumbers.Parse(string(n), "")
	return err == nil && phonenumbers.IsValidNumber(p)
}

// tags reads tags[], ids of which a call must have all.
func (p *params) tags() []int64 {
	var ids []int64
	for _, text := range p.values["tags[]"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			p.fault("tags[] has %q: it must be a tag's id, repeated for each tag", clip(text, 40))
			continue
		}
		ids = append(ids, id)
	}
	return ids
}

// page is which part of a list is wanted.
type page struct {
	Number, Size int // from 1
}

func (p *params) page() page {
	g := page{
		Size:   int(p.whole("per_page", 1, maxPerPage, defaultPerPage)),
		Number: int(p.whole("page", 1, 1<<31-1, 1)),
	}
	if g.offset() >= maxRecords {
		p.fault("page %d of %d each lies beyond the %d records that one query reaches: narrow from and to", g.Number, g.Size, maxRecords)
		return page{Number: 1, Size: defaultPerPage}
	}
	return g
}

func (g page) offset() int { return (g.Number - 1) * g.Size }

// limit is how many records the page may hold.
func (g page) limit() int { return min(g.Size, maxRecords-g.offset()) }

// meta describes a page of a list.
type meta struct {
	Count        int     `json:"count"`
	Total        int     `json:"total"`
	CurrentPage  int     `json:"current_page"`
	PerPage      int     `json:"per_page"`
	NextPage     *string `json:"next_page_link"`
	PreviousPage *string `json:"previous_page_link"`
}

// meta of a page with count of total entries. Links keep every parameter.
func (g page) meta(count, total int, address string, query url.Values) meta {
	m := meta{Count: count, Total: total, CurrentPage: g.Number, PerPage: g.Size}
	link := func(number int) *string {
		values := url.Values{}
		for k, v := range query {
			values[k] = v
		}
		values.Set("page", strconv.Itoa(number))
		values.Set("per_page", strconv.Itoa(g.Size))
		text := address + "?" + values.Encode()
		return &text
	}
	end := g.offset() + g.Size
	if end < total && end < maxRecords {
		m.NextPage = link(g.Number + 1)
	}
	if g.Number > 1 {
		m.PreviousPage = link(g.Number - 1)
	}
	return m
}

// part is the page's entries of a list that is all in memory.
func part[T any](all []T, g page) []T {
	from := min(g.offset(), len(all))
	return all[from:min(from+g.limit(), len(all))]
}
