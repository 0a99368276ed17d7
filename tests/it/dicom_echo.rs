//! A DICOM node that nobody of this project wrote is asked for an echo, as the facility configured it.

use mimamori_agent::application::{check_all, configured, run};
use mimamori_agent::cli::Lang;
use mimamori_agent::config::Config;
use mimamori_shared::fields::Application;
use mimamori_tests::process::program;
use mimamori_tests::wait_until;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// DCMTK's node, which knows one title of its own and two of others. Ends with the test.
struct Node {
    child: Child,
    port: u16,
}

impl Node {
    fn start(dir: &Path) -> Node {
        let path = Path::new("/usr/bin/dcmqrscp");
        assert!(path.is_file(), "dcmqrscp is missing: `make setup` installs it (Debian: dcmtk)");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (config, store) = (dir.join("node.cfg"), dir.join("store"));
        fs::create_dir(&store).unwrap();
        let text = format!(
            "NetworkTCPPort = {port}\nMaxPDUSize = 16384\nMaxAssociations = 4\nHostTable BEGIN\npeers = (MIMAMORI, localhost, 1), (CT1, localhost, 1)\n\
             HostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\nHOSPITALPACS {} R (1, 1mb) peers\nAETable END\n",
            store.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.join("node.log")).unwrap();
        let mut command = program(path);
        command.args(["--log-level", "info", "-c"]).arg(&config).arg(port.to_string());
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let node = Node { child, port };
        wait_until("the node listens", Duration::from_secs(20), || TcpStream::connect(("127.0.0.1", port)).is_ok());
        node
    }

    /// Whether DCMTK's own client is answered under these titles.
    fn answers_echoscu(&self, called: &str, calling: &str) -> bool {
        let mut command = program(Path::new("/usr/bin/echoscu"));
        command.args(["-to", "10", "-aec", called, "-aet", calling, "localhost", &self.port.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn config(dir: &Path, port: u16, called: &str, calling: &str) -> Config {
    let file = dir.join("agent.toml");
    let titles = format!("called_ae = '{called}'\ncalling_ae = '{calling}'");
    fs::write(&file, format!("[application.pacs]\nkind = 'dicom_echo'\ntarget = 'localhost:{port}'\n{titles}\n")).unwrap();
    Config::load(&file, std::iter::empty(), &[]).unwrap()
}

/// The reading, as it would leave, and the line that people see.
async fn asked(dir: &Path, port: u16, called: &str, calling: &str) -> (Application, String) {
    let checks = configured(&config(dir, port, called, calling));
    let (readings, faults) = check_all(&checks).await;
    assert!(faults.is_empty(), "{faults:?}");
    let line = run(&checks).await[0].line(Lang::En);
    (readings.into_iter().next().unwrap(), line)
}

#[tokio::test]
async fn a_real_node_is_up_refuses_the_wrong_titles_and_is_missed_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(dir.path());
    for calling in ["MIMAMORI", "CT1"] {
        let (reading, line) = asked(dir.path(), node.port, "HOSPITALPACS", calling).await;
        assert_eq!((reading.up, reading.status, reading.error.unwrap().as_str()), (Some(1), Some(0), "ok"), "{line}");
        assert!(reading.latency_us.is_some_and(|us| us > 0) && node.answers_echoscu("HOSPITALPACS", calling), "{line}");
    }
    for (called, calling) in [("WRONGPACS", "MIMAMORI"), ("HOSPITALPACS", "STRANGER")] {
        let (reading, line) = asked(dir.path(), node.port, called, calling).await;
        let json = serde_json::to_string(&reading).unwrap();
        // Source 1, reason 7: this node says so of either title.
        assert_eq!((reading.up, reading.status, reading.error.unwrap().as_str()), (Some(0), Some(0x0107), "rejected"), "{line}");
        assert!(line.contains("it does not know the called AE title") && !node.answers_echoscu(called, calling), "{line}");
        assert!(["PACS", "MIMAMORI", "STRANGER", "localhost"].iter().all(|name| !json.contains(name)), "{json}");
    }
    // Twice by us and once by its own client, for each of two callers.
    wait_until("the node has seen every echo, and every association end in order", Duration::from_secs(10), || {
        let log = fs::read_to_string(dir.path().join("node.log")).unwrap();
        (log.matches("Received Echo").count(), log.matches("Association Release").count()) == (6, 6)
    });
    let port = node.port;
    drop(node);
    let (reading, line) = asked(dir.path(), port, "HOSPITALPACS", "MIMAMORI").await;
    assert_eq!((reading.up, reading.latency_us, reading.error.unwrap().as_str()), (Some(0), None, "refused"), "{line}");
}
