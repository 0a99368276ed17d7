-- What is counted of attacks and accidents, what became an alarm, and how much each machine stored.
CREATE TABLE abuse (
    hour INTEGER NOT NULL,
    kind TEXT NOT NULL,
    who TEXT NOT NULL,
    agent BLOB,
    count INTEGER NOT NULL,
    first_at_ms INTEGER NOT NULL,
    last_at_ms INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, who)
) STRICT, WITHOUT ROWID;

CREATE TABLE alarm (
    kind TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER,
    count INTEGER NOT NULL,
    PRIMARY KEY (kind, since_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE digest (
    day INTEGER NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    line TEXT NOT NULL
) STRICT;

CREATE TABLE agent_source (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    address TEXT NOT NULL,
    before TEXT,
    changed_at_ms INTEGER NOT NULL,
    flips INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE day_use (
    agent BLOB NOT NULL REFERENCES machine (agent),
    day INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (agent, day)
) STRICT, WITHOUT ROWID;
