-- What agents said. The payloads are in one table per month (evidence_YYYY_MM, made by the program).
CREATE TABLE evidence_month (
    month INTEGER NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE chain (
    agent BLOB NOT NULL REFERENCES machine (agent),
    chain BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    reason TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL,
    forked INTEGER NOT NULL,
    waiting_for_seq INTEGER,
    waiting_since_ms INTEGER,
    PRIMARY KEY (agent, chain),
    UNIQUE (agent, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE branch (
    agent BLOB NOT NULL,
    chain BLOB NOT NULL,
    branch INTEGER NOT NULL,
    parent INTEGER,
    base_seq INTEGER,
    base_hash BLOB,
    next_seq INTEGER NOT NULL,
    head BLOB NOT NULL,
    boot BLOB,
    first_month INTEGER NOT NULL,
    last_month INTEGER NOT NULL,
    PRIMARY KEY (agent, chain, branch),
    FOREIGN KEY (agent, chain) REFERENCES chain (agent, chain)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    agent BLOB NOT NULL,
    chain BLOB NOT NULL,
    branch INTEGER NOT NULL,
    boot BLOB NOT NULL,
    from_seq INTEGER NOT NULL,
    to_seq INTEGER NOT NULL,
    boottime_from_ms INTEGER NOT NULL,
    boottime_to_ms INTEGER NOT NULL,
    taken_from_ms INTEGER NOT NULL,
    taken_to_ms INTEGER NOT NULL,
    received_from_ms INTEGER NOT NULL,
    received_to_ms INTEGER NOT NULL,
    monotonic_from_ms INTEGER NOT NULL,
    monotonic_to_ms INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    largest_gap_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, chain, branch, boot)
) STRICT, WITHOUT ROWID;

CREATE TABLE latest (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    chain BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    is_preview INTEGER NOT NULL,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE machine_consent (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    hash BLOB NOT NULL,
    terms TEXT,
    valid_to_ms INTEGER,
    example INTEGER NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE machine_plan (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    plan TEXT NOT NULL,
    interval_s INTEGER NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    agent BLOB NOT NULL REFERENCES machine (agent),
    kind TEXT NOT NULL,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL,
    last_at_ms INTEGER NOT NULL,
    chain BLOB NOT NULL,
    seq INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (agent, kind, day)
) STRICT, WITHOUT ROWID;
