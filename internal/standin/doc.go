// Package standin plays the outside world for the demo, the tests and whoever
// tries a flow without an account anywhere: a small CRM that is asked over HTTP
// and can be broken on purpose.
//
// Registration makes a UDP socket a phone, for those who play phones with
// another program.
//
// It is no test of any vendor's API and keeps nothing: what it answers is told to
// it beforehand. Whoever starts a CRM closes it; New starts nothing.
package standin
