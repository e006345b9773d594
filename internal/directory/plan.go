package directory

// ApplyOptions say how a document is put in.
type ApplyOptions struct {
	// Prune also removes entries that the document's sections do not name;
	// sections that it does not have are left alone.
	Prune bool
	// Remove names entries to take out. One that is not there is an error
	// (phone.NotFound).
	Remove []Ref
	// Revision is the revision that the document was made for; has the directory
	// moved on, the error's kind is phone.Conflict. 0: whatever there is.
	Revision int64
}

// Ref names an entry.
type Ref struct {
	Kind Kind
	ID   int64
}

// Plan is what a document would change, or has changed.
type Plan struct {
	Revision int64   `json:"revision"` // before; after Apply: of the new snapshot
	Changes  []Diff  `json:"changes"`  // none: the directory says it already
	Warnings []Fault `json:"warnings,omitempty"`
}

// Act is what happens to an entry.
type Act string

const (
	Created Act = "created"
	Changed Act = "changed"
	Removed Act = "removed"
)

// Diff is the change of one entry.
type Diff struct {
	Act    Act         `json:"act"`
	Kind   Kind        `json:"kind"`
	ID     int64       `json:"id"`
	Name   string      `json:"name"`
	Fields []FieldDiff `json:"fields,omitempty"`
}

// FieldDiff is one value that changes. A secret shows as ••••, old and new.
type FieldDiff struct {
	Path string `json:"path"` // steps[0].ring_to_api.url
	Old  string `json:"old"`  // empty: was not there
	New  string `json:"new"`  // empty: goes
}
