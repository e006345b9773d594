// Package access holds API keys: who may use /v1, /api and /metrics.
//
// A key is an id and a token of 256 random bits. The token is shown once and
// stored as its SHA-256; no slow hash, because a token cannot be guessed and
// every lookup of a call may check one. Checks read memory only.
//
// Later: people, sessions, roles.
package access
