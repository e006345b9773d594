package lookup

import "github.com/ringpath/ringpath/internal/phone"

// By says how a Named is named.
type By string

const (
	ByID     By = "id"     // Text is an id in Space
	ByEmail  By = "email"  // Text is an e-mail address, compared without case. Users only
	ByName   By = "name"   // Text is a name. Teams only
	ByNumber By = "number" // Number is a phone number
	// ByIDOrNumber: Text is digits, the id of a number of ours if there is one,
	// else the phone number Number; bad_number when that is empty too.
	ByIDOrNumber By = "id_or_number"
)

// Own is the id space of our own ids.
const Own = "ringpath"

// Named is what an answer called the one who should be rung: read, not yet
// looked up.
type Named struct {
	Kind   phone.TargetKind
	By     By
	Space  string     // ByID: whose ids, Own or a key of external_ids. Only that space is searched
	Text   string     // id, e-mail or name
	Number phone.E164 // ByNumber, ByIDOrNumber
}
