-- +goose Up

-- One row a call. id is the start in microseconds (phone.CallID), so its order
-- is the order of creation. version: the highest wins (record.Call.Version).
CREATE TABLE calls (
    id              INTEGER PRIMARY KEY,
    version         INTEGER NOT NULL,
    direction       TEXT    NOT NULL,
    status          TEXT    NOT NULL,
    outside         TEXT    NOT NULL, -- the party that is not ours; empty: withheld or erased
    caller          TEXT    NOT NULL,
    caller_name     TEXT    NOT NULL,
    caller_user_id  INTEGER NOT NULL,
    called          TEXT    NOT NULL,
    number_id       INTEGER NOT NULL,
    trunk           TEXT    NOT NULL,
    sip_call_id     TEXT    NOT NULL,
    started_at_us   INTEGER NOT NULL,
    connected_at_us INTEGER NOT NULL,
    answered_at_us  INTEGER NOT NULL,
    ended_at_us     INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    external        TEXT    NOT NULL,
    cause           TEXT    NOT NULL,
    ended_by        TEXT    NOT NULL,
    missed          TEXT    NOT NULL,
    teams           TEXT    NOT NULL, -- JSON, empty: none
    steps           TEXT    NOT NULL, -- JSON, without the traces
    offers          TEXT    NOT NULL, -- JSON
    erased          INTEGER NOT NULL,
    archived        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX calls_outside ON calls (outside, id); -- "who spoke with this caller last?"
CREATE INDEX calls_user ON calls (user_id, id);
CREATE INDEX calls_open ON calls (id) WHERE status <> 'done';

-- The lookups' traces: note is the place in steps.
CREATE TABLE traces (
    call_id INTEGER NOT NULL,
    note    INTEGER NOT NULL,
    detail  TEXT    NOT NULL,
    PRIMARY KEY (call_id, note)
);

CREATE TABLE messages (
    call_id INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at_us   INTEGER NOT NULL,
    sent    INTEGER NOT NULL,
    source  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    raw     BLOB    NOT NULL,
    PRIMARY KEY (call_id, seq)
);

-- Answered legs that still live.
CREATE TABLE dialogs (
    leg     TEXT    PRIMARY KEY,
    call_id INTEGER NOT NULL,
    body    TEXT    NOT NULL -- JSON
);

CREATE TABLE directory_entries (
    kind         TEXT    NOT NULL,
    id           INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    position     INTEGER NOT NULL,
    body         TEXT    NOT NULL, -- JSON without secrets
    secrets      TEXT    NOT NULL, -- JSON, sealed; empty: none
    created_at_s INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE api_keys (
    id             TEXT    PRIMARY KEY,
    name           TEXT    NOT NULL,
    scopes         TEXT    NOT NULL, -- separated by spaces
    hash           BLOB    NOT NULL, -- SHA-256 of the token
    created_at_s   INTEGER NOT NULL,
    last_used_at_s INTEGER NOT NULL
);

-- Single numbers: directory_rev, alive_at_us, answers_swept_call_id.
CREATE TABLE marks (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
);
