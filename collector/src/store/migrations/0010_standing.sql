-- What the self-diagnosis of each machine last said of each thing it looks after, by the order of its chains. `name` is
-- empty where there is only one of the kind.
CREATE TABLE standing (
    agent BLOB NOT NULL REFERENCES machine (agent),
    check_id TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, check_id, name)
) STRICT, WITHOUT ROWID;

-- The place from which on it counts: a consent that ended ends what was known before.
CREATE TABLE standing_from (
    agent BLOB NOT NULL PRIMARY KEY REFERENCES machine (agent),
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
