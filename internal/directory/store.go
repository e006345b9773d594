package directory

import (
	"context"
	"time"
)

// Kind is a section of the document.
type Kind string

// The kinds of entries, in the order in which a document has them.
const (
	KindCompany    Kind = "company"
	KindUser       Kind = "user"
	KindTeam       Kind = "team"
	KindTrunk      Kind = "trunk"
	KindNumber     Kind = "number"
	KindCredential Kind = "credential"
	KindFlow       Kind = "flow"
	// KindSequence entries remember the highest id ever given to a kind (its
	// Name): an id is never given twice, also after a removal.
	KindSequence Kind = "sequence"
)

// Entry is one stored thing. A database treats Body and Secrets as bytes.
type Entry struct {
	Kind      Kind
	ID        int64             // unique within Kind, from 1; the company has 1
	Name      string            // for people who look into the database; unique within Kind
	Position  int               // order within Kind, as in the document
	Body      []byte            // JSON, without secrets
	Secrets   map[string][]byte // place within the entry → sealed by secret.Box; nil: none
	CreatedAt time.Time         // UTC, to the second
}

// Change is one entry that is written (added or replaced whole), or removed.
type Change struct {
	Entry   Entry // when Removed, only Kind and ID count
	Removed bool
}

// Store keeps entries. *store.DB is one.
type Store interface {
	// LoadDirectory reads all entries, ordered by kind and position, and the
	// revision: 0 as long as nothing was ever saved.
	LoadDirectory(ctx context.Context) (entries []Entry, rev int64, err error)
	// SaveDirectory makes all changes or none and moves the revision from rev to
	// rev+1, which it returns. Is the stored revision another one, the error's
	// kind is phone.Conflict and nothing has changed.
	SaveDirectory(ctx context.Context, rev int64, changes []Change) (int64, error)
}
