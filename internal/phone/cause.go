package phone

// Cause is why a leg or call ended. One table in internal/sip turns a cause into
// a SIP status and a Q.850 code, and back.
type Cause string

const (
	CauseNormal      Cause = "normal"          // hung up after talking: BYE, Q.850 16
	CauseCancelled   Cause = "cancelled"       // the caller gave up: CANCEL, 487
	CauseElsewhere   Cause = "elsewhere"       // another phone answered: CANCEL with Reason 200
	CauseBusy        Cause = "busy"            // 486, Q.850 17
	CauseDeclined    Cause = "declined"        // a person declined: 603, Q.850 21 (also 486 and 600 from a phone)
	CauseNoAnswer    Cause = "no_answer"       // rang out: CANCEL with Q.850 19; 480
	CauseUnavailable Cause = "unavailable"     // nobody there: 480, Q.850 19
	CauseRejected    Cause = "rejected"        // refused by us: 603, Q.850 21
	CauseUnknown     Cause = "unknown"         // no such number: 404, Q.850 1
	CauseMoved       Cause = "moved"           // 3xx: not followed
	CauseNoCodec     Cause = "no_common_codec" // 488, Q.850 88
	CauseFailed      Cause = "failed"          // 5xx and what has no better name: 500, Q.850 41
	CauseUnreachable Cause = "unreachable"     // no answer from the network, 408, transport error
	CauseLost        Cause = "lost"            // an answered party vanished: no ACK, no media
	CauseLoop        Cause = "loop"            // 482, 483
	CauseOverload    Cause = "overload"        // 503 with Retry-After, Q.850 42
	CauseDraining    Cause = "draining"        // 503 with Retry-After
	CauseInterrupted Cause = "interrupted"     // the process ended under the call
	CauseTooLong     Cause = "too_long"        // a length limit
)
