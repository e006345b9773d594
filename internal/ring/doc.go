// Package ring offers a call to people: Decide says whom to offer it now (a
// pure function, asked again at every event), Run does it: claims, forks,
// timers, and the first answer wins.
//
// It knows no flow, no directory and no SIP: it is given who may be rung and
// how to dial them, and it owns every outgoing leg until one has won.
package ring
