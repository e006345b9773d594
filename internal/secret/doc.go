// Package secret holds what must not be seen: Text, a string that hides itself
// wherever it is printed, logged or encoded, and Box, which seals secrets for
// the database with a key that stands in a file of its own.
//
// It decides nothing about who may read a secret: whoever calls Reveal does.
package secret
