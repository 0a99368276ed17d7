-- What the collector makes of it: presence and its changes, what is to be looked at, and who does the work.
CREATE TABLE presence (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    state TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    because TEXT NOT NULL,
    due_at_ms INTEGER,
    memory TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX presence_due ON presence (due_at_ms) WHERE due_at_ms IS NOT NULL;

CREATE TABLE transition (
    agent BLOB NOT NULL REFERENCES machine (agent),
    state TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER,
    because TEXT NOT NULL,
    evidence TEXT NOT NULL,
    recorded_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX transition_agent ON transition (agent, recorded_at_ms);

CREATE TABLE dirty (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    mark INTEGER NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE probe (
    one INTEGER NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL
) STRICT;
