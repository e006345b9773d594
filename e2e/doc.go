// Package e2e tries the whole program as its users meet it: the built binary, its
// own files, and real SIP clients around it (SIPp as carrier and phones, baresip
// as phones), one file per story.
//
// Who rang and who talked is read from what the phones themselves sent and
// received, never from the program's own account of it; the account is compared
// afterwards. Tests that need a client which is not installed skip and say so.
// Everything runs on the loopback address, on ports of its own, and every process
// is ended by the test that started it.
package e2e
