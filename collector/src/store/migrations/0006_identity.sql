-- Keys that followed one another, keys that are never taken again, and from where a token may be redeemed.
ALTER TABLE agent_key ADD COLUMN successor BLOB;
ALTER TABLE agent_key ADD COLUMN closed_chain BLOB;
ALTER TABLE agent_key ADD COLUMN closed_seq INTEGER;
ALTER TABLE agent_key ADD COLUMN closed_hash BLOB;
-- Whether the statement that hands over stands at its place; until then what comes before it may still be missing.
ALTER TABLE agent_key ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX agent_key_of ON agent_key (agent);

-- A chain that both keys prove does not count among those an agent may open without approval.
ALTER TABLE chain ADD COLUMN proven INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chain ADD COLUMN proven_key BLOB;

ALTER TABLE token ADD COLUMN source TEXT;

CREATE TABLE revoked_key (
    key_id BLOB NOT NULL PRIMARY KEY,
    revoked_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revocation (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL
) STRICT;
INSERT INTO revocation (one, epoch) VALUES (1, 0);
-- What was revoked before there was a count of it. It counts from the first revocation on.
INSERT INTO revoked_key (key_id, revoked_at_ms) SELECT key_id, revoked_at_ms FROM agent_key WHERE state = 'revoked' AND revoked_at_ms IS NOT NULL;
