// Package softphone is a small SIP phone and test caller, for trying a phone
// system out and for testing one: it registers, is rung, answers, plays a tone
// and says what tone it hears; it calls as a carrier would.
//
// It is no phone for people: it has no microphone, speaks G.711 only and one
// codec at a time. It stands on sipgo's transactions; dialogs are its own.
//
// A Phone owns one SIP socket, a media socket for each call, and their
// goroutines; nothing of it is left when Run returns.
//
// RFCs: 3261 (SIP), 3264 (offer and answer), 3326 (Reason), 3550 and 3551 (RTP,
// G.711), 8760 (digest with SHA-256).
package softphone
