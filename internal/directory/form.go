package directory

import (
	"time"

	"github.com/ringpath/ringpath/internal/document"
	"github.com/ringpath/ringpath/internal/secret"
)

// The forms are entries as documents write them. Their fields are the language
// of spec/config.md; Later names what this version refuses.

type companyForm struct {
	Name          string   `yaml:"name"`
	TimeZone      string   `yaml:"time_zone"`
	DefaultRegion string   `yaml:"default_region"`
	Answers       string   `yaml:"answers"`
	Keep          keepForm `yaml:"keep"`
}

type keepForm struct {
	Calls      *time.Duration `yaml:"calls"`
	Traces     *time.Duration `yaml:"traces"`
	Answers    *time.Duration `yaml:"answers"`
	SIP        *time.Duration `yaml:"sip"`
	Recordings *time.Duration `yaml:"recordings"`
	Voicemail  *time.Duration `yaml:"voicemail"`
	Audit      *time.Duration `yaml:"audit"`
}

type userForm struct {
	ID           int64             `yaml:"id"`
	Name         string            `yaml:"name"`
	Email        string            `yaml:"email"`
	Phones       []phoneForm       `yaml:"phones"`
	CallerNumber string            `yaml:"caller_number"`
	ExternalIDs  map[string]string `yaml:"external_ids"`
}

func (userForm) Later() map[string][]string {
	return map[string][]string{
		"wrap_up": {"0s", "0"}, "may_dial": {"false"}, "forward_to": {""}, "login": nil,
		"working_hours": nil, "time_zone": nil, "language": nil, "availability": {"available"},
	}
}

type phoneForm struct {
	Username string     `yaml:"username"`
	Password secretForm `yaml:"password"`
}

type teamForm struct {
	ID          int64             `yaml:"id"`
	Name        string            `yaml:"name"`
	Members     []string          `yaml:"members"`
	ExternalIDs map[string]string `yaml:"external_ids"`
}

type trunkForm struct {
	ID            int64         `yaml:"id"`
	Name          string        `yaml:"name"`
	Networks      []string      `yaml:"networks"`
	Hosts         []string      `yaml:"hosts"`
	Transport     string        `yaml:"transport"`
	NumberFrom    []string      `yaml:"number_from"`
	DefaultNumber string        `yaml:"default_number"`
	CallerFrom    []string      `yaml:"caller_from"`
	DefaultRegion string        `yaml:"default_region"`
	CallerID      string        `yaml:"caller_id"`
	MaxUnanswered time.Duration `yaml:"max_unanswered"`
	Outbound      outboundForm  `yaml:"outbound"`
}

func (trunkForm) Later() map[string][]string {
	return map[string][]string{
		"username": {""}, "password": nil, "register": {"false"}, "trust_identity": {"false"},
	}
}

type outboundForm struct {
	Prefixes      []string `yaml:"prefixes"`
	Deny          []string `yaml:"deny"`
	MaxConcurrent *int     `yaml:"max_concurrent"`
	MaxPerMinute  *int     `yaml:"max_per_minute"`
}

type numberForm struct {
	ID      int64  `yaml:"id"`
	Name    string `yaml:"name"`
	Digits  string `yaml:"digits"`
	Flow    string `yaml:"flow"`
	KeepSIP bool   `yaml:"keep_sip"`
}

func (numberForm) Later() map[string][]string {
	return map[string][]string{"priority": {"0"}, "time_zone": nil, "sounds": nil, "record": {"false"}}
}

type credentialForm struct {
	ID       int64      `yaml:"id"`
	Name     string     `yaml:"name"`
	Type     string     `yaml:"type"`
	Username string     `yaml:"username"` // basic
	Password secretForm `yaml:"password"` // basic
	Token    secretForm `yaml:"token"`    // bearer
	Key      string     `yaml:"key"`      // api_key: name of the header or parameter
	Value    secretForm `yaml:"value"`    // api_key
	Form     string     `yaml:"form"`     // api_key: "Token token={{secret}}"
	In       string     `yaml:"in"`       // api_key: header, query
	Hosts    []string   `yaml:"hosts"`
}

func (credentialForm) Later() map[string][]string {
	return map[string][]string{
		"grant": nil, "token_url": nil, "auth_url": nil, "client_id": nil, "client_secret": nil, "scopes": nil,
		"client_auth": nil, "token_prefix": nil, "host_from": nil, "secret": nil, "certificate": nil, "audience": nil, "subject": nil,
	}
}

// secretForm is the secret that hangs on a node; missing: {stored: true}
// without anything stored, or nothing at all.
type secretForm struct {
	text    secret.Text
	written bool // a field stands in the document
}

func (s *secretForm) UnmarshalNode(n *document.Node, _ string, _ *document.Decoder) {
	s.text, _ = secretOf(n)
	s.written = n.Type != document.Null
}
