//! Brings a database to this version, by numbered files that are never edited.

use crate::store::error::StoreError;
use rusqlite::{Connection, TransactionBehavior, params};

/// One step.
pub(super) struct Migration {
    version: u32,
    sql: &'static str,
    /// SHA-256 of the file: who edits one instead of adding one is told by a test, and by every database.
    sha256: &'static str,
}

/// All steps in order.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, sql: include_str!("../migrations/0001_identity.sql"), sha256: "042bf300c5f69c69219f6baef92b632b7d1b9248eada5ce0865331a348412e26" },
    Migration { version: 2, sql: include_str!("../migrations/0002_evidence.sql"), sha256: "0baa0b964a6ea719a1fc5c81f955879510beb6eae05ab2ef8946d8a65ed45678" },
    Migration { version: 3, sql: include_str!("../migrations/0003_work.sql"), sha256: "6f71370a0aa100f22bd6a2f04786e365a5e6f6f3ce332c18ac43300a4469f9d3" },
    Migration {
        version: 4,
        sql: include_str!("../migrations/0004_audit_index.sql"),
        sha256: "1c4a1aa1827b5d9d2ce0c4ef003c9c1a4f57a05605871f358550a3229af440eb",
    },
    Migration { version: 5, sql: include_str!("../migrations/0005_consent.sql"), sha256: "42ec948ab4e681e29512ce366813f8e1088e13ed9db661cce28a5ab273a84079" },
    Migration { version: 6, sql: include_str!("../migrations/0006_identity.sql"), sha256: "e0f95627aeb36dba1bff9669fa3cc08a7091299af654459834395c6a7da6c35e" },
    Migration { version: 7, sql: include_str!("../migrations/0007_abuse.sql"), sha256: "cb3f5b53bb7b8b6ca2f52e8f01c41a0fc39948abe53cec03abb92254b70bcaff" },
    Migration { version: 8, sql: include_str!("../migrations/0008_bounds.sql"), sha256: "db24bdf6fce4c45a65e887c007c4fe28adc1c6d17990d04467e6d7607f561279" },
    Migration {
        version: 9,
        sql: include_str!("../migrations/0009_chosen_key.sql"),
        sha256: "acedcb8b56e11ea4cd300ece19ce2f84089124ee307807261eed19c126230725",
    },
    Migration { version: 10, sql: include_str!("../migrations/0010_standing.sql"), sha256: "71b17058b579f7392e03f376bbc92ad68db96b446a50f75c1cf54b728d6fddf5" },
];

/// Applies what is missing, each step in a transaction of its own.
pub(super) fn apply(connection: &mut Connection, migrations: &[Migration], now_ms: i64) -> Result<(), StoreError> {
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration (
            version INTEGER NOT NULL PRIMARY KEY,
            sha256 TEXT NOT NULL,
            applied_at_ms INTEGER NOT NULL
        ) STRICT",
    )?;
    for migration in migrations {
        // Another process may be doing the same: whoever comes second finds it done.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let applied: Option<String> = one(&transaction, migration.version)?;
        match applied {
            Some(sum) if sum == migration.sha256 => {}
            Some(_) => return Err(StoreError::OtherMigration(migration.version)),
            None => {
                transaction.execute_batch(migration.sql)?;
                let row = params![migration.version, migration.sha256, now_ms];
                transaction.execute("INSERT INTO migration (version, sha256, applied_at_ms) VALUES (?1, ?2, ?3)", row)?;
            }
        }
        transaction.commit()?;
    }
    let newest: u32 = connection.query_row("SELECT coalesce(max(version), 0) FROM migration", [], |row| row.get(0))?;
    match migrations.last() {
        Some(last) if newest > last.version => Err(StoreError::Newer(newest)),
        _ => Ok(()),
    }
}

fn one(connection: &Connection, version: u32) -> Result<Option<String>, StoreError> {
    use rusqlite::OptionalExtension;
    let sum = connection.query_row("SELECT sha256 FROM migration WHERE version = ?1", [version], |row| row.get(0)).optional()?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::sign::sha256;

    fn schema(connection: &Connection) -> Vec<(String, String)> {
        let mut statement = connection.prepare("SELECT name, coalesce(sql, '') FROM sqlite_master ORDER BY name").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn no_migration_was_edited() {
        assert!(MIGRATIONS.iter().map(|migration| migration.version).eq(1..=10), "no hole, and in order");
        for migration in MIGRATIONS {
            assert_eq!(sha256(migration.sql.as_bytes()).to_string(), migration.sha256, "add a migration instead of editing {}", migration.version);
        }
    }

    #[test]
    fn a_fresh_database_equals_one_migrated_step_by_step() {
        let mut fresh = Connection::open_in_memory().unwrap();
        apply(&mut fresh, MIGRATIONS, 1).unwrap();
        let mut stepped = Connection::open_in_memory().unwrap();
        for end in 1..=MIGRATIONS.len() {
            apply(&mut stepped, &MIGRATIONS[..end], 1).unwrap();
        }
        assert_eq!(schema(&fresh), schema(&stepped));
    }

    /// The migration that began to write revocations down took over those of revoked machines only.
    #[test]
    fn keys_of_machines_retired_before_revocations_were_counted_are_revoked_too() {
        let mut old = Connection::open_in_memory().unwrap();
        apply(&mut old, &MIGRATIONS[..5], 1).unwrap();
        old.execute_batch(
            "INSERT INTO facility VALUES ('west', 'x', 0, 0);
             INSERT INTO machine (agent, facility, alias, state, key_id, token, enrolled_at_ms, ended_at_ms) VALUES
               (x'01', 'west', 'gone', 'retired', x'0a', x'00', 1, 7), (x'02', 'west', 'bad', 'revoked', x'0b', x'00', 1, 8), (x'03', 'west', 'good', 'active', x'0c', x'00', 1, NULL);
             INSERT INTO agent_key (key_id, public_key, agent, state, added_at_ms, revoked_at_ms) VALUES
               (x'0a', x'aa', x'01', 'active', 1, NULL), (x'0b', x'bb', x'02', 'revoked', 1, 9), (x'0c', x'cc', x'03', 'active', 1, NULL);",
        )
        .unwrap();
        apply(&mut old, MIGRATIONS, 20).unwrap();
        let revoked: String = old
            .query_row("SELECT group_concat(hex(key_id) || ' ' || revoked_at_ms, ',') FROM (SELECT * FROM revoked_key ORDER BY key_id)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(revoked, "0A 7,0B 9");
    }

    #[test]
    fn what_was_counted_by_day_is_told_by_hour() {
        let mut old = Connection::open_in_memory().unwrap();
        apply(&mut old, &MIGRATIONS[..7], 1).unwrap();
        old.execute_batch(
            "INSERT INTO facility VALUES ('west', 'x', 0, 0);
             INSERT INTO machine (agent, facility, alias, state, key_id, token, enrolled_at_ms) VALUES (x'01', 'west', 'a', 'active', x'0a', x'00', 1), (x'02', 'west', 'b', 'active', x'0b', x'00', 1);
             INSERT INTO day_use VALUES (x'01', 10, 3, 300), (x'02', 10, 4, 400), (x'02', 11, 1, 10);",
        )
        .unwrap();
        apply(&mut old, MIGRATIONS, 2).unwrap();
        let told: String =
            old.query_row("SELECT group_concat(hour || ' ' || facility || ' ' || entries || ' ' || bytes, ',') FROM hour_use", [], |row| row.get(0)).unwrap();
        assert_eq!(told, "240 west 7 700,264 west 1 10");
    }

    #[test]
    fn databases_of_other_versions_are_refused() {
        let mut newer = Connection::open_in_memory().unwrap();
        apply(&mut newer, MIGRATIONS, 1).unwrap();
        assert!(matches!(apply(&mut newer, &MIGRATIONS[..1], 2), Err(StoreError::Newer(newest)) if newest == MIGRATIONS.last().unwrap().version));
        newer.execute("UPDATE migration SET sha256 = 'x' WHERE version = 2", []).unwrap();
        assert!(matches!(apply(&mut newer, MIGRATIONS, 2), Err(StoreError::OtherMigration(2))));
    }
}
