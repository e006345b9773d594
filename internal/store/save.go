package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/record"
)

// The row of a call. What never changes in its life is not in the update: the
// index on outside is then left alone.
const (
	saveCall = `INSERT INTO calls (id, version, direction, status, outside, caller, caller_name,
	caller_user_id, called, number_id, trunk, sip_call_id, started_at_us, connected_at_us, answered_at_us,
	ended_at_us, user_id, external, cause, ended_by, missed, teams, steps, offers, erased)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status,
	number_id = excluded.number_id, trunk = excluded.trunk, sip_call_id = excluded.sip_call_id,
	connected_at_us = excluded.connected_at_us, answered_at_us = excluded.answered_at_us,
	ended_at_us = excluded.ended_at_us, user_id = excluded.user_id, external = excluded.external,
	cause = excluded.cause, ended_by = excluded.ended_by, missed = excluded.missed,
	teams = excluded.teams, steps = excluded.steps, offers = excluded.offers
WHERE excluded.version > calls.version`

	saveTrace = `INSERT INTO traces (call_id, note, detail) VALUES ($1, $2, $3)
ON CONFLICT (call_id, note) DO NOTHING`

	saveDialog = `INSERT INTO dialogs (leg, call_id, body) VALUES ($1, $2, $3)
ON CONFLICT (leg) DO UPDATE SET call_id = excluded.call_id, body = excluded.body`

	saveMessage = `INSERT INTO messages (call_id, seq, at_us, sent, source, target, raw)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (call_id, seq) DO NOTHING`
)

// closeDialogs closes closings legs at a time; unused places are empty.
var closeDialogs = "DELETE FROM dialogs WHERE leg IN (" + strings.Join(places(closings), ", ") + ")"

const closings = 32

func places(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "$" + strconv.Itoa(i+1)
	}
	return list
}

// saving holds Save's prepared statements.
type saving struct {
	call, trace, dialog, close, message, mark *sql.Stmt
}

func (s *saving) prepare(ctx context.Context, pool *sql.DB) error {
	for text, stmt := range map[string]**sql.Stmt{
		saveCall: &s.call, saveTrace: &s.trace, saveDialog: &s.dialog,
		closeDialogs: &s.close, saveMessage: &s.message, setMark: &s.mark,
	} {
		var err error
		if *stmt, err = pool.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// in is s within a transaction.
func (s *saving) in(ctx context.Context, tx *sql.Tx) saving {
	return saving{
		call: tx.StmtContext(ctx, s.call), trace: tx.StmtContext(ctx, s.trace),
		dialog: tx.StmtContext(ctx, s.dialog), close: tx.StmtContext(ctx, s.close),
		message: tx.StmtContext(ctx, s.message), mark: tx.StmtContext(ctx, s.mark),
	}
}

// Save implements record.Store.
func (db *DB) Save(ctx context.Context, now time.Time, batch []record.Entry) error {
	return db.change(ctx, "save call records", func(tx *sql.Tx) error {
		// With a context that can end, the driver starts a goroutine for each
		// statement. A batch takes milliseconds: only its begin heeds ctx.
		ctx := context.WithoutCancel(ctx)
		s := db.save.in(ctx, tx)
		var closed []any
		for _, e := range batch {
			if e.Closed != "" {
				closed = append(closed, string(e.Closed))
			} else if err := s.entry(ctx, e); err != nil {
				return err
			}
		}
		if err := s.closeAll(ctx, closed); err != nil {
			return err
		}
		_, err := s.mark.ExecContext(ctx, "alive_at_us", us(now))
		return err
	})
}

func (s *saving) entry(ctx context.Context, e record.Entry) error {
	var err error
	switch {
	case e.Call != nil:
		return s.saveCall(ctx, e.Call)
	case e.Dialog != nil:
		var body []byte
		if body, err = json.Marshal(e.Dialog); err == nil {
			_, err = s.dialog.ExecContext(ctx, string(e.Dialog.Leg), int64(e.Dialog.Call), string(body))
		}
	case e.Message != nil:
		m := e.Message
		raw := m.Raw
		if raw == nil {
			raw = []byte{} // NULL otherwise
		}
		_, err = s.message.ExecContext(ctx, int64(m.Call), m.Seq, us(m.At), flag(m.Sent), m.From, m.To, raw)
	}
	return err
}

// closeAll forgets the dialogs of legs, given as arguments.
func (s *saving) closeAll(ctx context.Context, legs []any) error {
	for len(legs)%closings != 0 {
		legs = append(legs, "")
	}
	for some := range slices.Chunk(legs, closings) {
		if _, err := s.close.ExecContext(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

func (s *saving) saveCall(ctx context.Context, c *record.Call) error {
	teams, err := list(c.Teams)
	if err != nil {
		return fmt.Errorf("teams: %w", err)
	}
	steps, err := list(withoutDetail(c.Steps))
	if err != nil {
		return fmt.Errorf("steps: %w", err)
	}
	offers, err := list(c.Offers)
	if err != nil {
		return fmt.Errorf("offers: %w", err)
	}
	_, err = s.call.ExecContext(ctx, int64(c.ID), c.Version, string(c.Direction), string(c.Status),
		string(c.Outside()), string(c.Caller), c.CallerName, int64(c.CallerUser), string(c.Called),
		int64(c.Number), c.Trunk, c.SIPCallID, us(c.StartedAt), us(c.ConnectedAt), us(c.AnsweredAt),
		us(c.EndedAt), int64(c.User), string(c.External), string(c.Cause), c.EndedBy, string(c.Missed),
		teams, steps, offers, flag(c.Erased))
	for i := 0; err == nil && i < len(c.Steps); i++ {
		if detail := c.Steps[i].Detail; len(detail) > 0 {
			_, err = s.trace.ExecContext(ctx, int64(c.ID), i, string(detail))
		}
	}
	return err
}

// withoutDetail is steps as their column has them: traces have their own table.
func withoutDetail(steps []record.Note) []record.Note {
	out := steps
	for i := range steps {
		if len(steps[i].Detail) == 0 {
			continue
		}
		if &out[0] == &steps[0] {
			out = append([]record.Note(nil), steps...)
		}
		out[i].Detail = nil
	}
	return out
}

// list is a slice as JSON, empty text for none.
func list[T any](l []T) (string, error) {
	if len(l) == 0 {
		return "", nil
	}
	b, err := json.Marshal(l)
	return string(b), err
}

// us is a time as a column has it: microseconds since 1970, 0 for none.
func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
