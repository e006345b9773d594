package api

import (
	"net/url"
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/phone"
)

func TestOutsideNumber(t *testing.T) {
	tests := []struct {
		query, region string
		want          phone.E164 // empty: refused
	}{
		{"phone_number=%2B14155550123", "US", "+14155550123"},
		{"phone_number=+14155550123", "US", "+14155550123"}, // a raw plus is a space
		{"phone_number=%2014155550123", "US", "+14155550123"},
		{"phone_number=14155550123", "US", "+14155550123"},
		{"phone_number=14155550123", "FR", "+14155550123"},
		{"phone_number=14155550123", "", "+14155550123"},
		{"phone_number=0014155550123", "FR", "+14155550123"},
		{"phone_number=4155550123", "US", "+14155550123"},
		{"phone_number=(415)%20555-0123", "US", "+14155550123"},
		{"phone_number=6175550123", "US", "+16175550123"}, // not Australia
		{"phone_number=0170189900", "FR", "+33170189900"},
		{"phone_number=33170189900", "FR", "+33170189900"},
		{"phone_number=%2B33%201%2070%2018%2099%2000", "FR", "+33170189900"},
		{"phone_number=%2B4155550123", "US", "+4155550123"}, // with a plus it is never national
		{"phone_number=", "US", ""},
		{"phone_number=+", "US", ""},
		{"phone_number=%20%20", "US", ""},
		{"phone_number=anonymous", "US", ""},
		{"phone_number=%2B", "US", ""},
		{"phone_number=123", "US", ""},
		{"phone_number=5550123", "US", "+5550123"}, // a part is a number of its own, which nobody has
		{"phone_number=%2B999123456", "US", ""},
		{"phone_number=14155550123x", "US", ""},
		{"phone_number=%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7", "US", ""},
		{"phone_number=%2B14155550123&phone_number=", "US", ""},
	}
	for _, tt := range tests {
		p := readParams(tt.query)
		got := p.outsideNumber(tt.region)
		if tt.want == "" && p.err == nil {
			t.Errorf("%s in %s: got %q, want a fault", tt.query, tt.region, got)
		}
		if tt.want != "" && (got != tt.want || p.err != nil) {
			t.Errorf("%s in %s: got %q, %v; want %q", tt.query, tt.region, got, p.err, tt.want)
		}
	}
}

func TestOrder(t *testing.T) {
	tests := []struct {
		query  string
		newest bool
		fault  bool
	}{
		{"", false, false},
		{"order=asc", false, false},
		{"order=desc", true, false},
		{"order=des", true, false},
		{"order=DES", true, false},
		{"order=Desc", true, false},
		{"order=ASC", false, false},
		{"order=", false, true},
		{"order=descending", false, true},
		{"order=de", false, true},
		{"order=desc&order=asc", false, true},
		{"order=%64%65%73", true, false},
	}
	for _, tt := range tests {
		p := readParams(tt.query)
		got := p.newestFirst()
		if got != tt.newest && !tt.fault || (p.err != nil) != tt.fault {
			t.Errorf("%q: got %v, %v; want %v, fault %v", tt.query, got, p.err, tt.newest, tt.fault)
		}
	}
}

func TestSeconds(t *testing.T) {
	tests := []struct {
		query string
		want  int64  // -1: fault
		text  string // of the fault
	}{
		{"from=1772443800", 1772443800, ""},
		{"from=0", 0, ""},
		{"from=100000000000", 100000000000, ""},
		{"from=1772443800000", -1, "these are milliseconds; it must be UNIX seconds, so write 1772443800"},
		{"from=-5", -1, "UNIX seconds"},
		{"from=", -1, "UNIX seconds"},
		{"from=2026-03-02", -1, "UNIX seconds"},
		{"from=99999999999999999999", -1, "UNIX seconds"},
	}
	for _, tt := range tests {
		p := readParams(tt.query)
		got := p.second("from")
		if tt.want >= 0 && (got.Unix() != tt.want || p.err != nil) {
			t.Errorf("%s: got %d, %v; want %d", tt.query, got.Unix(), p.err, tt.want)
		}
		if tt.want < 0 && (p.err == nil || !strings.Contains(p.err.Error(), tt.text)) {
			t.Errorf("%s: got %v, want a fault with %q", tt.query, p.err, tt.text)
		}
	}
}

func TestPage(t *testing.T) {
	tests := []struct {
		query         string
		offset, limit int // -1: fault
	}{
		{"", 0, 20},
		{"page=3", 40, 20},
		{"page=2&per_page=50", 50, 50},
		{"page=200&per_page=50", 9950, 50},
		{"page=334&per_page=30", 9990, 10},
		{"page=201&per_page=50", -1, 0},
		{"page=0", -1, 0},
		{"per_page=0", -1, 0},
		{"per_page=51", -1, 0},
		{"per_page=all", -1, 0},
		{"page=2147483647&per_page=50", -1, 0},
		{"page=99999999999", -1, 0},
	}
	for _, tt := range tests {
		p := readParams(tt.query)
		g := p.page()
		if (p.err != nil) != (tt.offset < 0) {
			t.Errorf("%q: got %+v, %v; want offset %d", tt.query, g, p.err, tt.offset)
		}
		if tt.offset >= 0 && (g.offset() != tt.offset || g.limit() != tt.limit) {
			t.Errorf("%q: got offset %d, limit %d; want %d, %d", tt.query, g.offset(), g.limit(), tt.offset, tt.limit)
		}
	}
}

func TestPageLinks(t *testing.T) {
	query := url.Values{"phone_number": {"+14155550123"}, "tags[]": {"1", "2"}, "strange": {"a&b"}, "page": {"2"}}
	m := page{Number: 2, Size: 20}.meta(20, 61, "http://ringpath.test/v1/calls/search", query)
	for name, link := range map[string]*string{"3": m.NextPage, "1": m.PreviousPage} {
		if link == nil {
			t.Fatalf("no link to page %s", name)
		}
		u, err := url.Parse(*link)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if q.Get("page") != name || q.Get("per_page") != "20" || q.Get("phone_number") != "+14155550123" ||
			len(q["tags[]"]) != 2 || q.Get("strange") != "a&b" {
			t.Errorf("link to page %s: got %s, which lost a parameter", name, *link)
		}
	}
	if query.Get("page") != "2" {
		t.Error("making links changed the query")
	}
	ends := []struct {
		page       page
		total      int
		next, prev bool
	}{
		{page{1, 20}, 20, false, false},
		{page{1, 20}, 21, true, false},
		{page{2, 20}, 40, false, true},
		{page{200, 50}, 20000, false, true}, // reaches the 10,000 records
		{page{199, 50}, 20000, true, true},
		{page{1, 20}, 0, false, false},
	}
	for _, tt := range ends {
		m := tt.page.meta(0, tt.total, "", nil)
		if (m.NextPage != nil) != tt.next || (m.PreviousPage != nil) != tt.prev {
			t.Errorf("%+v of %d: next %v, previous %v; want %v, %v", tt.page, tt.total, m.NextPage != nil, m.PreviousPage != nil, tt.next, tt.prev)
		}
	}
}

// FuzzSearchParams looks for queries that find more than they ask for: a
// phone_number that is there must become a condition or a fault.
func FuzzSearchParams(f *testing.F) {
	for _, seed := range []string{
		"order=des&phone_number=%2B14155550123", "order=des&phone_number=+14155550123", "phone_number=&order=asc",
		"phone_number=%zz", "phone_number=1;order=desc", "from=1772443800000&to=1&tags[]=1&tags[]=x&page=9999999",
		"phone_number=0170189900&per_page=50&user_id=456", "phone_number=+(0)41", "%70hone_number=5",
	} {
		f.Add(seed, "US")
		f.Add(seed, "FR")
	}
	f.Fuzz(func(t *testing.T, query, region string) {
		p := readParams(query)
		p.newestFirst()
		from := p.second("from")
		p.direction()
		p.tags()
		g := p.page()
		number := p.outsideNumber(region)
		if g.offset() < 0 || g.limit() < 1 || g.offset()+g.limit() > maxRecords {
			t.Errorf("%q: page %+v reaches beyond the records", query, g)
		}
		if p.err != nil {
			return
		}
		if from.Unix() > firstMillisecond {
			t.Errorf("%q: from is %v", query, from)
		}
		if _, given := p.values["phone_number"]; given && number == "" {
			t.Errorf("%q: phone_number is neither a number nor a fault", query)
		}
		if number != "" {
			if _, err := phone.ParseE164(string(number)); err != nil {
				t.Errorf("%q: phone_number became %q", query, number)
			}
			again := readParams("phone_number=" + url.QueryEscape(string(number)))
			if got := again.outsideNumber(region); got != number {
				t.Errorf("%q: %q read again is %q", query, number, got)
			}
		}
	})
}
