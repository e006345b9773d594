package registrar

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringpath/ringpath/internal/secret"
)

func TestParseCredentials(t *testing.T) {
	tests := []struct {
		in   string
		want credentials
		ok   bool
	}{
		{`Digest username="a", realm="r", nonce="n", uri="sip:x", response="0", qop=auth, nc=00000001, cnonce="c"`,
			credentials{username: "a", realm: "r", nonce: "n", uri: "sip:x", response: "0", algorithm: "MD5", qop: "auth", nc: "00000001", cnonce: "c"}, true},
		{`digest username="a\"b",nonce=n,response=0,algorithm=SHA-256,unknown="x,y"`,
			credentials{username: `a"b`, nonce: "n", response: "0", algorithm: "SHA-256"}, true},
		{`Digest username="a", username="b", nonce="n", response="0"`, credentials{}, false},
		{`Basic YTpi`, credentials{}, false},
		{`Digest username="a`, credentials{}, false},
		{`Digest `, credentials{}, false},
		{`Digest ` + strings.Repeat("a=b,", 1000), credentials{}, false},
	}
	for _, test := range tests {
		got, ok := parseCredentials(test.in)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%.60s: %+v, %v; want %+v, %v", test.in, got, ok, test.want, test.ok)
		}
	}
}

// The example of RFC 7616 §3.9.1 with its method and URI.
func TestResponseOfRFC7616(t *testing.T) {
	c := credentials{
		username: "Mufasa", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri: "/dir/index.html",
		cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc: "00000001", qop: "auth",
	}
	d := NewDigest(DigestOptions{})
	for i, want := range []string{"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", "8ca523f5e9506fed4657c9700eebdbec"} {
		if got := d.algorithms[i].response(c, "http-auth@example.org", "Circle of Life", "GET"); got != want {
			t.Errorf("%s: %s, want %s", d.algorithms[i].name, got, want)
		}
	}
}

func TestUsedNoncesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDigest(DigestOptions{Account: func(string) (Account, bool) { return Account{Password: secret.New("x")}, true }})
		for i := range maxNonces {
			if !d.use(strconv.Itoa(i), 1, time.Now()) {
				t.Fatalf("nonce %d refused", i)
			}
		}
		if d.use("one more", 1, time.Now()) {
			t.Error("more nonces are remembered than there is room for")
		}
		time.Sleep(2 * NonceLife)
		if !d.use("later", 1, time.Now()) || len(d.used) != 1 {
			t.Errorf("%d nonces are left after their time", len(d.used))
		}
	})
}

func FuzzParseCredentials(f *testing.F) {
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:x", response="0", qop=auth`)
	f.Add(`Digest username="\`)
	f.Add(`Digest a=,b=",",=`)
	f.Fuzz(func(t *testing.T, in string) {
		c, ok := parseCredentials(in)
		if ok && (c.username == "" || c.nonce == "" || c.response == "") {
			t.Errorf("%q: %+v", in, c)
		}
	})
}

func FuzzSameURI(f *testing.F) {
	f.Add("sip:a@b:5060;transport=udp")
	f.Fuzz(func(t *testing.T, in string) {
		if !sameURI(in, in) {
			t.Errorf("%q is not the same as itself", in)
		}
	})
}
