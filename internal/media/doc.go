// Package media carries the sound of calls: it reads and rewrites session
// descriptions and relays RTP and RTCP between the two sides of a call.
//
// A description is never passed through whole (RFC 3264): Parse reads one
// party's, Description.Write makes the other party's from it, with an origin
// line, an address and a port of our own, one audio stream, and its codecs as
// they were. The relay forwards datagrams without looking into the sound.
//
// It knows no SIP, mixes nothing, decodes nothing and encrypts nothing: a
// description that asks for SRTP or fax is refused. A Relay owns its port range;
// a Session owns its sockets and goroutines, and nothing of it is left when
// Close returns.
//
// RFCs: 3550 (RTP), 4566 and 8866 (SDP), 3264 (offer and answer), 3605 (a=rtcp).
package media
