-- Keys of machines that were retired before revocations were counted: they are never taken again either.
INSERT INTO revoked_key (key_id, revoked_at_ms)
SELECT k.key_id, coalesce(k.revoked_at_ms, m.ended_at_ms, 0) FROM agent_key k JOIN machine m ON m.agent = k.agent
WHERE m.state IN ('retired', 'revoked') ON CONFLICT DO NOTHING;

-- What was stored hour by hour, so that the day of any zone can be told. What was counted by days of UTC stands at
-- their first hours.
CREATE TABLE hour_use (
    hour INTEGER NOT NULL,
    facility TEXT NOT NULL REFERENCES facility (alias),
    entries INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (hour, facility)
) STRICT, WITHOUT ROWID;
INSERT INTO hour_use (hour, facility, entries, bytes)
SELECT u.day * 24, m.facility, sum(u.entries), sum(u.bytes) FROM day_use u JOIN machine m ON m.agent = u.agent GROUP BY u.day, m.facility;

-- The day (UTC) on which a machine's state changed more often than is written down; NULL once its history goes on.
ALTER TABLE presence ADD COLUMN folded_day INTEGER;
