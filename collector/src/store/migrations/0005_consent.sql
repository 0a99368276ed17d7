-- Sections are taken at intervals of their own: what a newer report does not hold of an older one stays current state.
-- A shape says which sections a report tells of, one bit each.
ALTER TABLE latest ADD COLUMN shape INTEGER NOT NULL DEFAULT 0;

CREATE TABLE latest_part (
    agent BLOB NOT NULL REFERENCES machine (agent),
    shape INTEGER NOT NULL,
    chain BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    received_at_ms INTEGER NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (agent, shape)
) STRICT;

-- Said once for each mark before the end of a consent, whoever restarts. The end by its day, UTC.
CREATE TABLE consent_notice (
    agent BLOB NOT NULL REFERENCES machine (agent),
    end_day INTEGER NOT NULL,
    days INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, end_day, days)
) STRICT, WITHOUT ROWID;
