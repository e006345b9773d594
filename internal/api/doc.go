// Package api answers HTTP: /v1, the Aircall-compatible API that existing
// clients and the program's own lookups use; /api, the program's own API, with
// an OpenAPI document made from the code; the documentation pages of both;
// /healthz, /readyz and /metrics.
//
// It takes JSON in and gives JSON out and decides nothing about calls: people
// and numbers come from the directory's snapshot, calls from the records. It
// starts no goroutine and owns nothing that must be closed.
//
// Client is the other end of /api, for the command line.
package api
