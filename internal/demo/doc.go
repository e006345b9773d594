// Package demo tells what Ringpath does, on loopback: it starts the whole
// program with stand-ins around it (agents' phones, a carrier, a CRM), makes
// real SIP calls, and checks from the phones' side that each story went as told.
//
// Nothing in it is pretended: past calls are made, lookups are asked over HTTP,
// audio is a tone that the other side must hear.
package demo
