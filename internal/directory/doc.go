// Package directory holds what an administrator sets up: the company, users,
// teams, numbers, trunks, credentials and flows.
//
// A Document is their written form (YAML or JSON), a Snapshot their checked and
// indexed form, which never changes, and Directory the owner of the current
// snapshot: it plans and applies documents, whole or not at all. The call path
// reads snapshots only, never the database.
//
// It stores nothing itself: Store is what a database must do for it.
package directory
