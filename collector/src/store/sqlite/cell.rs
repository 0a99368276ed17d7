//! Columns as the project's types, and back.

use crate::store::error::StoreError;
use mimamori_shared::id::{AgentId, BootId, ChainId, Hash, KeyId, TokenId};
use mimamori_shared::word::Word;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};

/// A wrapper through which a column is read as one of our types.
pub(super) struct Cell<T>(pub(super) T);

macro_rules! bytes {
    ($($name:ident)*) => { $(
        impl FromSql for Cell<$name> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                FromSql::column_result(value).map($name).map(Cell)
            }
        }
    )* };
}

bytes! { AgentId BootId ChainId Hash KeyId TokenId }

impl FromSql for Cell<Word> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Cell).map_err(|e| FromSqlError::Other(Box::new(e)))
    }
}

impl FromSql for Cell<u64> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Cell).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// Reads one of our types.
pub(super) fn get<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    Cell<T>: FromSql,
{
    row.get::<_, Cell<T>>(column).map(|Cell(value)| value)
}

/// Reads one of our types, or NULL.
pub(super) fn maybe<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    Cell<T>: FromSql,
{
    row.get::<_, Option<Cell<T>>>(column).map(|cell| cell.map(|Cell(value)| value))
}

/// Reads a stored word of an enum.
pub(super) fn named<T>(row: &Row<'_>, column: &str, of: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    of(&text).ok_or(rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "an unknown word".into()))
}

/// A place as the database counts.
pub(super) fn place(seq: u64) -> Result<i64, StoreError> {
    i64::try_from(seq).map_err(|_| StoreError::Invalid("a place is below 2^62"))
}
