// Package phonetest is test support for everything that handles calls.
//
// Network, Leg and Incoming are fakes of the contracts in package phone, with
// knobs for what may go wrong; they record what was done to them. Phone is a
// scripted SIP endpoint on a real or simulated packet network: a phone, or a
// carrier. It sends and answers nothing that its script did not say, so that
// tests decide every retransmission.
package phonetest
