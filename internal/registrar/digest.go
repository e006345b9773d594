package registrar

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/secret"
)

// NonceLife is how long a nonce serves.
const NonceLife = 60 * time.Second

// maxNonces is how many used nonces are remembered, each for NonceLife at most;
// when there are more, further ones count as stale: their owners try again.
const maxNonces = 1 << 16

// Account is a phone's login.
type Account struct {
	User     phone.UserID
	Username string
	Password secret.Text
}

// Algorithms that are offered.
type Algorithms string

const (
	Both   Algorithms = "both" // SHA-256 first, then MD5 (RFC 8760 §2.4); the zero value counts as this
	SHA256 Algorithms = "sha-256"
	MD5    Algorithms = "md5"
)

// DigestOptions of a Digest.
type DigestOptions struct {
	Realm      string // empty: "ringpath"
	Algorithms Algorithms
	// Account finds a login by username.
	Account func(username string) (Account, bool)
}

// Digest checks credentials (RFC 7616, RFC 3261 §22). Its nonces carry their own
// proof, so that a challenge costs no memory; only nonces that were used with a
// right password are remembered, against replay. It is safe for concurrent use.
type Digest struct {
	realm      string
	algorithms []algorithm
	account    func(string) (Account, bool)
	key        []byte // of the nonces
	nobody     secret.Text

	mu    sync.Mutex
	used  map[string]use
	swept time.Time
}

// use is how far a nonce was used.
type use struct {
	count   uint32
	expires time.Time
}

type algorithm struct {
	name string
	hash func() hash.Hash
}

// NewDigest makes a Digest with a key of its own: nonces do not outlive it.
func NewDigest(o DigestOptions) *Digest {
	if o.Realm == "" {
		o.Realm = "ringpath"
	}
	d := &Digest{
		realm: o.Realm, account: o.Account,
		key: make([]byte, 32), nobody: secret.New(rand.Text()), used: map[string]use{},
	}
	_, _ = rand.Read(d.key) // never fails
	if o.Algorithms != MD5 {
		d.algorithms = append(d.algorithms, algorithm{"SHA-256", sha256.New})
	}
	if o.Algorithms != SHA256 {
		d.algorithms = append(d.algorithms, algorithm{"MD5", md5.New})
	}
	return d
}

// Challenges are the values of WWW-Authenticate, the best algorithm first, all
// with one fresh nonce. stale says that the credentials were right but old.
func (d *Digest) Challenges(stale bool) []string {
	nonce := d.nonce(time.Now())
	all := make([]string, len(d.algorithms))
	for i, a := range d.algorithms {
		all[i] = `Digest realm="` + d.realm + `",nonce="` + nonce + `",algorithm=` + a.name + `,qop="auth"`
		if stale {
			all[i] += ",stale=true"
		}
	}
	return all
}

// Verdict on credentials.
type Verdict int

const (
	Missing Verdict = iota // none, or for another realm
	Wrong                  // unknown user or wrong password: the two look alike
	Stale                  // right, but the nonce is old or its count was used before
	Right
)

// Check judges the Authorization values of a request. uri is the Request-URI: the
// credentials must have been made for it.
func (d *Digest) Check(method, uri string, authorization []string) (Account, Verdict) {
	for _, value := range authorization {
		c, ok := parseCredentials(value)
		if !ok || c.realm != d.realm {
			continue
		}
		for _, a := range d.algorithms {
			if strings.EqualFold(a.name, c.algorithm) {
				return d.judge(a, method, uri, c)
			}
		}
	}
	return Account{}, Missing
}

func (d *Digest) judge(a algorithm, method, uri string, c credentials) (Account, Verdict) {
	count, err := strconv.ParseUint(c.nc, 16, 32)
	issued, ours := d.readNonce(c.nonce)
	// An unknown user is checked as thoroughly as a known one: same work, same answer.
	account, known := d.account(c.username)
	if !known {
		account.Password = d.nobody
	}
	want := a.response(c, d.realm, account.Password.Reveal(), method)
	right := subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(c.response))) == 1
	right = right && known && c.qop == "auth" && err == nil && len(c.nc) == 8 && sameURI(c.uri, uri)
	switch {
	case !ours: // of before a restart, or made up: no statement about the user
		return Account{}, Missing
	case !right:
		return Account{}, Wrong
	case time.Since(issued) > NonceLife || !d.use(c.nonce, uint32(count), issued):
		return Account{}, Stale
	}
	return account, Right
}

// response is the one of RFC 7616 §3.4.1 for qop=auth.
func (a algorithm) response(c credentials, realm, password, method string) string {
	h := func(parts ...string) string {
		sum := a.hash()
		for i, p := range parts {
			if i > 0 {
				sum.Write([]byte{':'})
			}
			sum.Write([]byte(p))
		}
		return hex.EncodeToString(sum.Sum(nil))
	}
	return h(h(c.username, realm, password), c.nonce, c.nc, c.cnonce, c.qop, h(method, c.uri))
}

// sameURI compares the URI that was signed with the one requested, by user and
// host: some phones leave out port and parameters.
func sameURI(a, b string) bool { return strings.EqualFold(uriCore(a), uriCore(b)) }

func uriCore(u string) string {
	u = strings.TrimPrefix(strings.TrimPrefix(u, "sips:"), "sip:")
	u, _, _ = strings.Cut(u, "?")
	user := ""
	if i := strings.LastIndexByte(u, '@'); i >= 0 {
		user, u = u[:i+1], u[i+1:]
	}
	u, _, _ = strings.Cut(u, ";")
	if i := strings.LastIndexByte(u, ':'); i >= 0 && !strings.HasSuffix(u, "]") {
		u = u[:i]
	}
	return user + u
}

// Sizes of a nonce's parts, in bytes.
const (
	nonceTime   = 8
	nonceRandom = 16
	nonceMAC    = 12
)

func (d *Digest) nonce(now time.Time) string {
	b := make([]byte, nonceTime+nonceRandom, nonceTime+nonceRandom+nonceMAC)
	binary.BigEndian.PutUint64(b, uint64(now.UnixMilli()))
	_, _ = rand.Read(b[nonceTime:]) // never fails
	return base64.RawURLEncoding.EncodeToString(append(b, d.mac(b)...))
}

func (d *Digest) mac(b []byte) []byte {
	m := hmac.New(sha256.New, d.key)
	m.Write(b)
	return m.Sum(nil)[:nonceMAC]
}

// readNonce says when a nonce of ours was issued.
func (d *Digest) readNonce(nonce string) (issued time.Time, ours bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != nonceTime+nonceRandom+nonceMAC {
		return time.Time{}, false
	}
	head := b[:nonceTime+nonceRandom]
	if !hmac.Equal(b[len(head):], d.mac(head)) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(head))), true
}

// use notes that a nonce was used; false: this count, or a later one, was before.
func (d *Digest) use(nonce string, count uint32, issued time.Time) bool {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.swept) > NonceLife {
		d.swept = now
		for n, u := range d.used {
			if now.After(u.expires) {
				delete(d.used, n)
			}
		}
	}
	before, seen := d.used[nonce]
	if count <= before.count || !seen && len(d.used) >= maxNonces {
		return false
	}
	d.used[nonce] = use{count, issued.Add(NonceLife)}
	return true
}
