// Package storetest says in tests what the interfaces over a database promise.
// Each suite runs against every database there is; open gives each subtest an
// empty one of its own.
package storetest
