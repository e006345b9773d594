package phone

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// E164 is a phone number as ITU-T E.164 writes it internationally: "+" and 7
// to 15 digits with a known country code. It is possible, not necessarily
// assigned. Empty means withheld or unknown.
type E164 string

// ErrNumber says that a text is no phone number.
var ErrNumber = errors.New("not a phone number: write it as +, country code and number, for example +14155550123")

// ParseE164 accepts the exact form only: "+" and digits.
func ParseE164(text string) (E164, error) {
	if len(text) < 8 || len(text) > 16 || text[0] != '+' {
		return "", ErrNumber
	}
	for _, c := range []byte(text[1:]) {
		if c < '0' || c > '9' {
			return "", ErrNumber
		}
	}
	if !hasCountryCode(text[1:]) {
		return "", ErrNumber
	}
	return E164(text), nil
}

// hasCountryCode says that digits begin with a country code that is assigned. No
// code begins another (ITU-T E.164), so the first that fits is the one. The
// library's parser would find the same with several regular expressions, for
// every call.
func hasCountryCode(digits string) bool {
	code := 0
	for _, c := range []byte(digits[:3]) {
		code = code*10 + int(c-'0')
		if code == 0 {
			return false // no country code begins with 0
		}
		if phonenumbers.GetRegionCodeForCountryCode(code) != "ZZ" {
			return true
		}
	}
	return false
}

// ParseNumber reads a number leniently: spaces, dots, dashes, slashes and
// brackets are dropped, "00" counts as "+", and anything else is national in
// region (ISO 3166, "US"; empty: international forms only).
func ParseNumber(text, region string) (E164, error) {
	text = strings.TrimSpace(text)
	if len(text) > 40 { // longer is no number; bounds the work on hostile input
		return "", ErrNumber
	}
	var b strings.Builder
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9', c == '+' && i == 0:
			b.WriteRune(c)
		case strings.ContainsRune(" .-/()\u00a0\u202f", c):
		default:
			return "", ErrNumber
		}
	}
	digits := b.String()
	if strings.HasPrefix(digits, "00") {
		digits = "+" + digits[2:]
	}
	if strings.HasPrefix(digits, "+") {
		// "+44 (0)20 …": the bracketed trunk prefix is not dialled from abroad.
		if strings.Contains(text, "(0)") {
			if n, err := phonenumbers.Parse(text, region); err == nil {
				digits = phonenumbers.Format(n, phonenumbers.E164)
			}
		}
		return ParseE164(digits)
	}
	if region == "" {
		return "", ErrNumber
	}
	n, err := phonenumbers.Parse(digits, region)
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", ErrNumber
	}
	return ParseE164(phonenumbers.Format(n, phonenumbers.E164))
}

// Digits is the number without its plus.
func (n E164) Digits() string { return strings.TrimPrefix(string(n), "+") }

// Last returns the last k digits, or nothing when the number has fewer.
func (n E164) Last(k int) string {
	d := n.Digits()
	if len(d) < k {
		return ""
	}
	return d[len(d)-k:]
}

// CountryCode is the calling code without plus: "1", "33".
func (n E164) CountryCode() string {
	p, ok := n.parse()
	if !ok {
		return ""
	}
	return itoa(int(p.GetCountryCode()))
}

// Region is the ISO 3166 code of the number's country, "US", or empty where a
// calling code is shared by no single country.
func (n E164) Region() string {
	p, ok := n.parse()
	if !ok {
		return ""
	}
	if r := phonenumbers.GetRegionCodeForNumber(p); r != "" && r != "ZZ" {
		return r
	}
	r := phonenumbers.GetRegionCodeForCountryCode(int(p.GetCountryCode()))
	if r == "ZZ" || r == "001" {
		return ""
	}
	return r
}

// National is the national significant number: "4155550123".
func (n E164) National() string {
	p, ok := n.parse()
	if !ok {
		return ""
	}
	return phonenumbers.GetNationalSignificantNumber(p)
}

// NationalFormatted is the form that people of the country write: "(415) 555-0123".
func (n E164) NationalFormatted() string { return n.format(phonenumbers.NATIONAL) }

// International is the spaced international form: "+1 415-555-0123".
func (n E164) International() string { return n.format(phonenumbers.INTERNATIONAL) }

// Masked keeps the first four and the last four digits, "+1415•••0123", for
// logs; shorter numbers keep the last two.
func (n E164) Masked() string {
	s := string(n)
	switch {
	case s == "":
		return ""
	case len(s) >= 11:
		return s[:5] + "•••" + s[len(s)-4:]
	case len(s) > 4:
		return s[:2] + "•••" + s[len(s)-2:]
	}
	return "•••"
}

func (n E164) parse() (*phonenumbers.PhoneNumber, bool) {
	if n == "" {
		return nil, false
	}
	p, err := phonenumbers.Parse(string(n), "")
	return p, err == nil
}

func (n E164) format(f phonenumbers.PhoneNumberFormat) string {
	p, ok := n.parse()
	if !ok {
		return ""
	}
	return phonenumbers.Format(p, f)
}

func itoa(i int) string {
	return NumberID(i).String()
}
