//! The World harness, stories, faults and benches.
//!
//! `World` is a folder with one collector in it, on a loopback address of its own; `SimAgent` a simulated agent with a
//! model of what it made and what was acknowledged; `AgentHome` a folder for the real agent. A panic here is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout, reason = "a harness for tests: a panic is a failed test")]

pub mod agreed;
pub mod drive;
pub mod fleet;
pub mod outside;
pub mod plant;
pub mod process;
pub mod raw;
pub mod sim;
pub mod story;
pub mod tap;
pub mod world;

pub use process::AgentHome;
pub use raw::Raw;
pub use sim::{Made, SimAgent};
pub use world::World;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Asks again and again until it holds, and fails with `what` when it does not within `limit`. Gives the time it took.
///
/// # Panics
/// When the limit is over.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
    start.elapsed()
}

/// Status and body of a plain `GET`; `None` when nobody answers.
#[must_use]
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// How often a test does what it does: as the environment says, or `usually`.
///
/// # Panics
/// When the environment says no number.
#[must_use]
#[allow(clippy::disallowed_methods, reason = "make torture raises the figures of ordinary tests")]
pub fn times(name: &str, usually: u64) -> u64 {
    std::env::var(name).map_or(usually, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Numbers that look random and come again with the same seed (splitmix64, Steele et al. 2014).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends, so there is no Option to unwrap")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// A number from `from` up to and without `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// Bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_starts_is_killed_and_comes_back_with_what_it_acknowledged() {
        let mut world = World::new("smoke");
        println!("ready after {:?}", world.start());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut agent = runtime.block_on(SimAgent::enrol(&world.token(Some("ct-1")), "one")).unwrap();
        let receipt = runtime.block_on(agent.report_now());
        assert_eq!((receipt.seq, agent.receipted.len()), (1, 2));
        world.kill();
        assert_eq!(get(world.metrics, "/readyz"), None);
        println!("ready again after {:?}", world.start());
        assert_eq!(runtime.block_on(agent.report_now()).seq, 2);
        assert_eq!(world.export("ct-1").len(), 3);
        world.fsck();
        let home = world.agent_home("ct-2");
        let said = home.enroll(&world.token_text(Some("ct-2")));
        assert!(said.contains("State: active"), "{said}");
        let mut running = home.run();
        wait_until("the real agent reports", Duration::from_secs(20), || world.export("ct-2").len() >= 4);
        assert!(running.0.try_wait().unwrap().is_none(), "{}", home.log());
    }

    #[test]
    #[should_panic(expected = "not within")]
    fn waiting_for_what_never_comes_fails() {
        wait_until("never", Duration::from_millis(10), || false);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_collector_in_this_process_takes_reports_too() {
        let world = World::new("within");
        let running = world.start_within().await;
        let mut agent = SimAgent::enrol(&world.token(Some("ct-1")), "one").await.unwrap();
        assert_eq!(agent.report_now().await.seq, 1);
        running.stop().await;
    }
}
