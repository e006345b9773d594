package registrar

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
)

// Bounds of a registration.
const (
	MinExpires     = 60 * time.Second
	MaxExpires     = time.Hour
	DefaultExpires = time.Hour
	MaxContacts    = 10  // of one phone; the one refreshed longest ago makes room
	maxURI         = 512 // bytes of a contact
)

// What Register refuses a request for.
var (
	ErrStar     = &phone.Error{Kind: phone.Invalid, Text: "Contact: * needs Expires: 0 and no other contact"}
	ErrContact  = &phone.Error{Kind: phone.Invalid, Text: "a contact is not a usable SIP URI"}
	ErrContacts = &phone.Error{Kind: phone.Denied, Text: "too many contacts"}
	ErrBrief    = &phone.Error{Kind: phone.Invalid, Text: "a registration lasts at least 60 seconds"}
	ErrOrder    = &phone.Error{Kind: phone.Conflict, Text: "a later registration of this phone came before"}
)

// Request is a REGISTER whose sender is known.
type Request struct {
	User     phone.UserID
	Username string // of the AOR, which is the sender
	CallID   string
	CSeq     uint32
	Star     bool // Contact: *
	Expires  time.Duration
	Contacts []Contact
	// Source and Transport are where it came from, Local our socket that it came
	// to: the phone's calls go back that way.
	Source    netip.AddrPort
	Local     netip.AddrPort
	Transport string
}

// Unset stands for an expiry that was not given.
const Unset = time.Duration(-1)

// Contact is one contact of a Request.
type Contact struct {
	URI      string
	Instance string        // RFC 5626 +sip.instance; a new contact of it replaces the old
	Expires  time.Duration // Unset: the Request's
}

// Options of a Registrar.
type Options struct {
	// OnChange, if set, hears how many contacts a user has, after each change and
	// in the order of changes. It must not call Register.
	OnChange func(user phone.UserID, contacts int)
}

// Registrar holds the bindings. It is safe for concurrent use.
type Registrar struct {
	onChange func(phone.UserID, int)
	change   sync.Mutex // held through a change and its OnChange

	mu      sync.Mutex // guards what follows
	phones  map[string]*bindings
	users   map[phone.UserID][]*bindings
	sources map[netip.Addr]int // bindings by source address
	closed  bool
}

// bindings are the contacts of one phone.
type bindings struct {
	user     phone.UserID
	username string
	list     []*binding // in order of registration
}

type binding struct {
	contact   phone.Contact
	local     netip.AddrPort
	callID    string
	cseq      uint32
	refreshed time.Time
	timer     *time.Timer
}

// New makes an empty registrar.
func New(o Options) *Registrar {
	if o.OnChange == nil {
		o.OnChange = func(phone.UserID, int) {}
	}
	return &Registrar{
		onChange: o.OnChange,
		phones:   map[string]*bindings{},
		users:    map[phone.UserID][]*bindings{},
		sources:  map[netip.Addr]int{},
	}
}

// Close stops the timers; nothing changes any more.
func (r *Registrar) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, p := range r.phones {
		for _, b := range p.list {
			b.timer.Stop()
		}
	}
}

// Contacts are the registered phones of a user, in order of registration.
func (r *Registrar) Contacts(user phone.UserID) (all []phone.Contact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.users[user] {
		all = p.contacts(all)
	}
	return all
}

// Local is our socket that a contact registered through; invalid if the contact
// is gone.
func (r *Registrar) Local(c phone.Contact) netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.phones[c.Username]; p != nil {
		if i := p.find(c.URI, ""); i >= 0 {
			return p.list[i].local
		}
	}
	return netip.AddrPort{}
}

// Holds says that a phone is registered from an address.
func (r *Registrar) Holds(source netip.Addr) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sources[source] > 0
}

// Count is how many contacts are registered.
func (r *Registrar) Count() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.phones {
		n += len(p.list)
	}
	return n
}

// Register carries out a REGISTER, whole or not at all, and returns the phone's
// contacts after it (RFC 3261 §10.3).
func (r *Registrar) Register(q Request) ([]phone.Contact, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	p := r.phones[q.Username]
	if p == nil {
		p = &bindings{user: q.User, username: q.Username}
	}
	if err := p.order(&q); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	if q.Star {
		for _, b := range slices.Clone(p.list) {
			r.remove(p, b)
		}
	}
	for _, c := range q.Contacts {
		r.bind(p, &q, c)
	}
	now := p.contacts(nil)
	count := r.count(q.User)
	r.mu.Unlock()
	if q.Star || len(q.Contacts) > 0 {
		r.onChange(q.User, count)
	}
	return now, nil
}

// check fills in the expiries and refuses what cannot be right.
func (q *Request) check() error {
	if q.Star && (len(q.Contacts) > 0 || q.Expires != 0) {
		return ErrStar
	}
	if len(q.Contacts) > MaxContacts {
		return ErrContacts
	}
	for i := range q.Contacts {
		c := &q.Contacts[i]
		if len(c.URI) > maxURI {
			return ErrContact
		}
		if c.Expires == Unset {
			c.Expires = q.Expires
		}
		if c.Expires == Unset {
			c.Expires = DefaultExpires
		}
		if c.Expires != 0 && c.Expires < MinExpires {
			return ErrBrief
		}
		c.Expires = min(c.Expires, MaxExpires)
	}
	return nil
}

// order refuses a request that was overtaken by a later one (§10.3, step 7).
func (p *bindings) order(q *Request) error {
	late := func(b *binding) bool { return b.callID == q.CallID && b.cseq >= q.CSeq }
	if q.Star && slices.ContainsFunc(p.list, late) {
		return ErrOrder
	}
	for _, c := range q.Contacts {
		if i := p.find(c.URI, c.Instance); i >= 0 && late(p.list[i]) {
			return ErrOrder
		}
	}
	return nil
}

// find gives the place of a contact's binding, -1 if it has none.
func (p *bindings) find(uri, instance string) int {
	return slices.IndexFunc(p.list, func(b *binding) bool {
		return b.contact.URI == uri || instance != "" && b.contact.Instance == instance
	})
}

func (p *bindings) contacts(to []phone.Contact) []phone.Contact {
	for _, b := range p.list {
		to = append(to, b.contact)
	}
	return to
}

// bind is called with r.mu held.
func (r *Registrar) bind(p *bindings, q *Request, c Contact) {
	if i := p.find(c.URI, c.Instance); i >= 0 {
		r.remove(p, p.list[i])
	}
	if c.Expires == 0 || r.closed {
		return
	}
	if len(p.list) >= MaxContacts {
		r.remove(p, slices.MinFunc(p.list, func(a, b *binding) int { return cmp.Compare(a.refreshed.UnixNano(), b.refreshed.UnixNano()) }))
	}
	now := time.Now()
	b := &binding{
		contact: phone.Contact{
			User: q.User, Username: q.Username, URI: c.URI, Source: q.Source, Transport: q.Transport,
			Instance: c.Instance, ExpiresAt: now.Add(c.Expires),
		},
		local: q.Local, callID: q.CallID, cseq: q.CSeq, refreshed: now,
	}
	b.timer = time.AfterFunc(c.Expires, func() { r.expire(p, b) })
	if len(p.list) == 0 {
		p.user = q.User
		r.phones[p.username] = p
		r.users[p.user] = append(r.users[p.user], p)
	}
	p.list = append(p.list, b)
	r.sources[q.Source.Addr()]++
}

// remove is called with r.mu held.
func (r *Registrar) remove(p *bindings, b *binding) {
	i := slices.Index(p.list, b)
	if i < 0 {
		return
	}
	b.timer.Stop()
	p.list = slices.Delete(p.list, i, i+1)
	source := b.contact.Source.Addr()
	if r.sources[source]--; r.sources[source] == 0 {
		delete(r.sources, source)
	}
	if len(p.list) > 0 {
		return
	}
	delete(r.phones, p.username)
	left := slices.DeleteFunc(r.users[p.user], func(o *bindings) bool { return o == p })
	if r.users[p.user] = left; len(left) == 0 {
		delete(r.users, p.user)
	}
}

func (r *Registrar) expire(p *bindings, b *binding) {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.Lock()
	if r.closed || !slices.Contains(p.list, b) {
		r.mu.Unlock()
		return
	}
	r.remove(p, b)
	count := r.count(b.contact.User)
	r.mu.Unlock()
	r.onChange(b.contact.User, count)
}

// count is called with r.mu held.
func (r *Registrar) count(user phone.UserID) (n int) {
	for _, p := range r.users[user] {
		n += len(p.list)
	}
	return n
}
