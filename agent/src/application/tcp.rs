//! Whether a port answers: plainly, or as a database.
//!
//! MySQL counts a connection that ends before its login as an error, and after `max_connect_errors` (100) of them in a row
//! refuses the machine they come from. A login that succeeds in between starts the count anew; where none comes from this
//! machine, check what uses the database instead. PostgreSQL's question about encryption is answered before any login.

use super::connect::{Target, connect, io_class};
use super::{Class, Finding, Trouble};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Is asked whether it encrypts, which it answers with one letter.
    Postgres,
    /// Greets by itself.
    Mysql,
    /// Waits for a login in silence (SQL Server, Oracle): a connection is all that can be had without one.
    Silent,
}

/// Length 8 and the number of an SSLRequest.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Connects and goes.
pub(super) async fn connects(target: &Target, begun: Instant) -> Result<Finding, Trouble> {
    connect(target).await?;
    Ok(Finding::answered(Class::Ok, begun))
}

/// Connects and lets the database say that it is one.
pub(super) async fn database(engine: Engine, target: &Target, begun: Instant) -> Result<Finding, Trouble> {
    let mut stream = connect(target).await?;
    let class = match engine {
        Engine::Postgres => postgres(&mut stream).await,
        Engine::Mysql => mysql(&mut stream).await,
        Engine::Silent => Ok(Class::Ok),
    };
    Ok(Finding::answered(class?, begun))
}

pub(super) async fn postgres(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Class, Class> {
    stream.write_all(&SSL_REQUEST).await.map_err(|error| io_class(&error))?;
    match stream.read_u8().await.map_err(|error| io_class(&error))? {
        b'S' | b'N' => Ok(Class::Ok),
        b'E' => Ok(Class::Rejected),
        _ => Err(Class::Protocol),
    }
}

/// A packet's length and number, then 9 or 10 for the protocol's version, or 255 for an error.
pub(super) async fn mysql(stream: &mut (impl AsyncRead + Unpin)) -> Result<Class, Class> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.map_err(|error| io_class(&error))?;
    match head {
        [_, _, 0, 0, 9 | 10] => Ok(Class::Ok),
        [_, _, 0, 0, 0xff] => Ok(Class::Rejected),
        _ => Err(Class::Protocol),
    }
}
