-- Who there is: facilities, machines, their keys, the tokens they enrol with, and what people did.
CREATE TABLE facility (
    alias TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    example INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE machine (
    agent BLOB NOT NULL PRIMARY KEY,
    facility TEXT NOT NULL REFERENCES facility (alias),
    alias TEXT NOT NULL,
    state TEXT NOT NULL,
    key_id BLOB NOT NULL,
    token BLOB NOT NULL,
    enrolled_at_ms INTEGER NOT NULL,
    approved_at_ms INTEGER,
    chains_approved_at_ms INTEGER,
    ended_at_ms INTEGER,
    replaces BLOB REFERENCES machine (agent)
) STRICT, WITHOUT ROWID;

-- A retired machine keeps its alias, which another one may have by then.
CREATE UNIQUE INDEX machine_alias ON machine (facility, alias) WHERE state <> 'retired';

CREATE TABLE agent_key (
    key_id BLOB NOT NULL PRIMARY KEY,
    public_key BLOB NOT NULL UNIQUE,
    agent BLOB NOT NULL REFERENCES machine (agent),
    state TEXT NOT NULL,
    added_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    token BLOB NOT NULL PRIMARY KEY,
    public_key BLOB NOT NULL,
    facility TEXT NOT NULL REFERENCES facility (alias),
    slot TEXT,
    created_at_ms INTEGER NOT NULL,
    creator TEXT NOT NULL,
    reason TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER,
    -- The answer to the one who redeemed it, as it was given: asked again, it is given again.
    used_at_ms INTEGER,
    used_key BLOB,
    used_agent BLOB,
    used_alias TEXT,
    used_state TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    at_ms INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    verb TEXT NOT NULL,
    noun TEXT NOT NULL,
    id TEXT NOT NULL,
    facility TEXT,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_at ON audit (at_ms);
