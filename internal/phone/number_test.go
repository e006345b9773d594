package phone_test

import (
	"strings"
	"testing"

	"github.com/ringpath/ringpath/internal/phone"
)

func TestParseNumber(t *testing.T) {
	for _, tt := range []struct {
		text, region string
		want         phone.E164 // empty: refused
	}{
		{"+14155550123", "", "+14155550123"},
		{" +1 (415) 555-0123 ", "", "+14155550123"},
		{"+1.415.555.0123", "", "+14155550123"},
		{"0014155550123", "", "+14155550123"},
		{"(415) 555-0123", "US", "+14155550123"},
		{"01 23 45 67 89", "FR", "+33123456789"},
		{"+44 (0)20 7946 0018", "", "+442079460018"},
		{"4155550123", "", ""},
		{"+999123456789", "", ""}, // no such country code
		{"+1415", "", ""},
		{"+12345678901234567", "", ""},
		{"+1415555012a", "", ""},
		{"1+4155550123", "", ""},
		{"+1415555\r\n0123", "", ""},
		{"+1415555٠١٢٣", "", ""}, // digits of another script
		{"", "US", ""},
		{"anonymous", "US", ""},
		{strings.Repeat("1", 1000), "US", ""},
	} {
		got, err := phone.ParseNumber(tt.text, tt.region)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("ParseNumber(%.40q, %q) = %q, %v, want %q", tt.text, tt.region, got, err, tt.want)
		}
	}
}

func TestParseE164TakesTheExactFormOnly(t *testing.T) {
	for _, text := range []string{"14155550123", "+1 4155550123", "+1-4155550123", "0014155550123", " +14155550123", "+", ""} {
		if got, err := phone.ParseE164(text); err == nil {
			t.Errorf("ParseE164(%q) = %q, want an error", text, got)
		}
	}
	// Possible is enough: numbers of documentation are not assigned.
	if _, err := phone.ParseE164("+14155550123"); err != nil {
		t.Error(err)
	}
}

func TestForms(t *testing.T) {
	n := phone.E164("+14155550123")
	for _, tt := range []struct{ name, got, want string }{
		{"digits", n.Digits(), "14155550123"},
		{"national", n.National(), "4155550123"},
		{"national, formatted", n.NationalFormatted(), "(415) 555-0123"},
		{"international", n.International(), "+1 415-555-0123"},
		{"country code", n.CountryCode(), "1"},
		{"region", n.Region(), "US"},
		{"last 8", n.Last(8), "55550123"},
		{"last 12 of 11", n.Last(12), ""},
		{"masked", n.Masked(), "+1415•••0123"},
		{"masked, short", phone.E164("+4912345").Masked(), "+4•••45"},
		{"masked, withheld", phone.E164("").Masked(), ""},
		{"withheld", phone.E164("").International() + phone.E164("").Region() + phone.E164("").National(), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func FuzzParseNumber(f *testing.F) {
	f.Add("+1 (415) 555-0123", "US")
	f.Add("00331234567", "")
	f.Fuzz(func(t *testing.T, text, region string) {
		n, err := phone.ParseNumber(text, region)
		if err != nil {
			return
		}
		if again, err := phone.ParseE164(string(n)); err != nil || again != n {
			t.Errorf("ParseNumber(%q, %q) = %q, which is no E.164: %v", text, region, n, err)
		}
	})
}

func BenchmarkParseE164(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := phone.ParseE164("+14155550123"); err != nil {
			b.Fatal(err)
		}
	}
}
