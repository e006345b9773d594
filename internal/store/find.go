package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringpath/ringpath/internal/phone"
	"github.com/ringpath/ringpath/internal/record"
)

const (
	bareColumns = `id, version, direction, status, caller, caller_name, caller_user_id, called,
	number_id, trunk, sip_call_id, started_at_us, connected_at_us, answered_at_us, ended_at_us,
	user_id, external, cause, ended_by, missed, erased, archived, teams`
	callColumns = bareColumns + `, steps, offers`
)

// Find implements record.Store.
func (db *DB) Find(ctx context.Context, q record.Query, except []phone.CallID) ([]record.Call, int, error) {
	const what = "find calls"
	w := conditions(q, except)
	order := "ASC"
	if q.Order == record.NewestFirst {
		order = "DESC"
	}
	columns := callColumns
	if q.Bare {
		columns = bareColumns + ", '', ''"
	}
	// Of a bare parameter as limit SQLite looks at the value when it plans, and
	// so it would plan anew at every use of the statement.
	page := "SELECT " + columns + " FROM calls WHERE " + w.text() + " ORDER BY id " + order +
		" LIMIT 0 + " + w.arg(q.Limit) + " OFFSET 0 + " + w.arg(q.Offset)
	calls, err := db.calls(ctx, page, len(except) == 0, w.args)
	if err != nil {
		return nil, 0, fail(what, err)
	}
	// A page that is not full tells the total, and one that is empty need not
	// be the first: only then is it worth counting.
	if len(calls) < q.Limit && (len(calls) > 0 || q.Offset == 0) {
		return calls, q.Offset + len(calls), nil
	}
	w = conditions(q, except)
	rows, err := db.query(ctx, "SELECT count(*) FROM calls WHERE "+w.text(), len(except) == 0, w.args)
	if err != nil {
		return nil, 0, fail(what, err)
	}
	defer rows.Close()
	var total int
	for rows.Next() {
		if err := rows.Scan(&total); err != nil {
			return nil, 0, fail(what, err)
		}
	}
	return calls, total, fail(what, rows.Err())
}

// where collects conditions and their arguments.
type where struct {
	all  []string
	args []any
}

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) and(condition string) { w.all = append(w.all, condition) }

func (w *where) text() string { return strings.Join(w.all, " AND ") }

func conditions(q record.Query, except []phone.CallID) *where {
	w := &where{}
	var in []string
	for _, s := range q.Statuses {
		in = append(in, w.arg(string(s)))
	}
	w.and("status IN (" + strings.Join(in, ", ") + ")")
	if q.Direction != "" {
		w.and("direction = " + w.arg(string(q.Direction)))
	}
	if q.Outside != "" {
		w.and("outside = " + w.arg(string(q.Outside)))
	}
	if q.User != 0 {
		w.and("user_id = " + w.arg(int64(q.User)))
	}
	// An id is the start or, where two calls would share it, a little more: its
	// range bounds the search, the start decides.
	if !q.From.IsZero() {
		w.and("id >= " + w.arg(q.From.UnixMicro()))
		w.and("started_at_us >= " + w.arg(q.From.UnixMicro()))
	}
	if !q.To.IsZero() {
		w.and("id < " + w.arg(q.To.Add(time.Second).UnixMicro()))
		w.and("started_at_us < " + w.arg(q.To.UnixMicro()))
	}
	if len(except) > 0 {
		ids := make([]string, len(except))
		for i, id := range except {
			ids[i] = id.String()
		}
		w.and("id NOT IN (" + strings.Join(ids, ", ") + ")")
	}
	return w
}

// query runs a query whose text comes again and again through its prepared
// statement, kept by its text. There are as many texts as kinds of questions, a
// few hundred at most.
func (db *DB) query(ctx context.Context, text string, again bool, args []any) (*sql.Rows, error) {
	if !again {
		return db.read.QueryContext(ctx, text, args...)
	}
	db.mu.Lock()
	stmt := db.finds[text]
	db.mu.Unlock()
	if stmt == nil {
		made, err := db.read.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		db.mu.Lock()
		if stmt = db.finds[text]; stmt == nil {
			stmt, db.finds[text] = made, made
		} else {
			defer made.Close() // another reader was first
		}
		db.mu.Unlock()
	}
	return stmt.QueryContext(ctx, args...)
}

func (db *DB) calls(ctx context.Context, text string, again bool, args []any) ([]record.Call, error) {
	rows, err := db.query(ctx, text, again, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var calls []record.Call
	for rows.Next() {
		c, err := scanCall(rows)
		if err != nil {
			return nil, err
		}
		calls = append(calls, c)
	}
	return calls, rows.Err()
}

// Call implements record.Store.
func (db *DB) Call(ctx context.Context, id phone.CallID) (record.Call, error) {
	const what = "call"
	calls, err := db.calls(ctx, "SELECT "+callColumns+" FROM calls WHERE id = $1", true, []any{int64(id)})
	if err != nil {
		return record.Call{}, fail(what, err)
	}
	if len(calls) == 0 {
		return record.Call{}, fail(what, sql.ErrNoRows)
	}
	return calls[0], fail(what, db.details(ctx, &calls[0]))
}

// details puts a call's traces into its notes.
func (db *DB) details(ctx context.Context, c *record.Call) error {
	rows, err := db.query(ctx, `SELECT note, detail FROM traces WHERE call_id = $1`, true, []any{int64(c.ID)})
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var detail string
		if err := rows.Scan(&i, &detail); err != nil {
			return err
		}
		if i >= 0 && i < len(c.Steps) {
			c.Steps[i].Detail = json.RawMessage(detail)
		}
	}
	return rows.Err()
}

// Messages implements record.Store.
func (db *DB) Messages(ctx context.Context, id phone.CallID) ([]record.Message, error) {
	const what = "messages of a call"
	rows, err := db.query(ctx, `SELECT seq, at_us, sent, source, target, raw FROM messages
		WHERE call_id = $1 ORDER BY seq`, true, []any{int64(id)})
	if err != nil {
		return nil, fail(what, err)
	}
	defer rows.Close()
	var list []record.Message
	for rows.Next() {
		m := record.Message{Call: id}
		var at int64
		if err := rows.Scan(&m.Seq, &at, &m.Sent, &m.From, &m.To, &m.Raw); err != nil {
			return nil, fail(what, err)
		}
		m.At = timeOf(at)
		list = append(list, m)
	}
	return list, fail(what, rows.Err())
}

func scanCall(rows *sql.Rows) (record.Call, error) {
	var c record.Call
	var started, connected, answered, ended int64
	var teams, steps, offers string
	err := rows.Scan(&c.ID, &c.Version, &c.Direction, &c.Status, &c.Caller, &c.CallerName, &c.CallerUser,
		&c.Called, &c.Number, &c.Trunk, &c.SIPCallID, &started, &connected, &answered, &ended,
		&c.User, &c.External, &c.Cause, &c.EndedBy, &c.Missed, &c.Erased, &c.Archived, &teams, &steps, &offers)
	if err != nil {
		return c, err
	}
	c.StartedAt, c.ConnectedAt = timeOf(started), timeOf(connected)
	c.AnsweredAt, c.EndedAt = timeOf(answered), timeOf(ended)
	err = errors.Join(unlist(teams, &c.Teams), unlist(steps, &c.Steps), unlist(offers, &c.Offers))
	if err != nil {
		return c, fmt.Errorf("call %d: %w", c.ID, err)
	}
	return c, nil
}

func unlist[T any](text string, l *[]T) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), l)
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
