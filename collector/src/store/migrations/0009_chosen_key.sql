-- New keys that were named and not taken, for an operator to choose from; bounded per machine.
CREATE TABLE key_refused (
    agent BLOB NOT NULL,
    key_id BLOB NOT NULL,
    old_key BLOB NOT NULL,
    chain BLOB NOT NULL,
    seq INTEGER NOT NULL,
    why TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (agent, key_id)
) STRICT, WITHOUT ROWID;

-- The key that an operator chose: it is taken when its statement comes again, whatever was heard before.
ALTER TABLE machine ADD COLUMN chosen_key BLOB;
