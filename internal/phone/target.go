package phone

import "fmt"

// TargetKind says what a target is.
type TargetKind string

const (
	ToUser     TargetKind = "user"     // a person: all their phones ring together
	ToTeam     TargetKind = "team"     // its free members ring by the ringing rule
	ToNumber   TargetKind = "number"   // one of our numbers: its flow takes over
	ToExternal TargetKind = "external" // somebody outside, by a trunk
)

// Target is whom a call goes to. Exactly the field of its kind is set; the zero
// Target is "nobody", written `next` in documents.
type Target struct {
	Kind     TargetKind `json:"kind"`
	User     UserID     `json:"user,omitempty"`
	Team     TeamID     `json:"team,omitempty"`
	Number   NumberID   `json:"number,omitempty"`
	External E164       `json:"external,omitempty"`
}

func UserTarget(id UserID) Target     { return Target{Kind: ToUser, User: id} }
func TeamTarget(id TeamID) Target     { return Target{Kind: ToTeam, Team: id} }
func NumberTarget(id NumberID) Target { return Target{Kind: ToNumber, Number: id} }
func ExternalTarget(n E164) Target    { return Target{Kind: ToExternal, External: n} }

// IsZero says that the target is nobody.
func (t Target) IsZero() bool { return t.Kind == "" }

// String writes the target as traces and tables show it: "user 456",
// "team 7", "number 1", "external +33…".
func (t Target) String() string {
	switch t.Kind {
	case ToUser:
		return fmt.Sprintf("user %d", t.User)
	case ToTeam:
		return fmt.Sprintf("team %d", t.Team)
	case ToNumber:
		return fmt.Sprintf("number %d", t.Number)
	case ToExternal:
		return "external " + string(t.External)
	}
	return "nobody"
}
