// Package simnet is a packet network in memory, for tests in testing/synctest
// bubbles: every wait in it is a channel or a timer, so the bubble's clock runs
// on, and a run with one seed is repeated exactly.
//
// It carries datagrams (Net.Listen gives a net.PacketConn) with delay, loss,
// duplication and reordering, and byte streams (Net.ListenStream, Net.Dial)
// without any. It starts no goroutine: a packet that is under way waits in the
// queue of its receiver.
package simnet
