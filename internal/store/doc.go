// Package store keeps everything in one SQLite database, behind the small
// interfaces of the packages that use it: record.Store, directory.Store and
// access.Store. The suites in storetest say what those interfaces promise and
// run against every database there is.
//
// The SQL is kept portable ($1 placeholders, ON CONFLICT, no SQLite functions),
// so that PostgreSQL can follow; what SQLite alone needs stands in sqlite.go and
// in the column types of migrations. Migrations only go forward. Times are
// integers with the unit in the column's name, 0 for "not (yet)", in UTC.
//
// A DB owns its connections until Close. It starts no goroutine of its own.
package store
