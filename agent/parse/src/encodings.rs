//! What Windows' tools print reaches us in many encodings: a console's (Shift_JIS in Japan), PowerShell's redirection
//! (UTF-16 with a mark), an editor's (UTF-8 with a mark). They all say the same.

use crate::{Outcome, Read, Status, Unreadable, find, text};

const STATUS: &str = include_str!("../testdata/w32tm-status.utf-8");
const STATUS_SHIFT_JIS: &[u8] = include_bytes!("../testdata/w32tm-status.shift_jis");
const STOPPED: &str = include_str!("../testdata/w32tm-stopped.utf-8");
const STOPPED_SHIFT_JIS: &[u8] = include_bytes!("../testdata/w32tm-stopped.shift_jis");
const VERSIONS: &str = include_str!("../testdata/wbadmin-versions.utf-8");
const VERSIONS_SHIFT_JIS: &[u8] = include_bytes!("../testdata/wbadmin-versions.shift_jis");
const SESSIONS: &str = "\n\nJobName      : 夜間\nResult       : Success\nState        : Stopped\nEndTime      : 2026/10/26 1:30:00\n\n\n";
const LIST: &str = "\n\nDeviceId                         : 0\nFriendlyName                     : MAKER SSD 512\nHealthStatus                     : Warning\n\
    OperationalStatus                : Predictive Failure\nBusType                          : SATA\nSize                             : 512110190592\n\n\n";
const TABLE: &str = "\nNumber FriendlyName  SerialNumber MediaType CanPool OperationalStatus HealthStatus Usage            Size\n\
    ------ ------------  ------------ --------- ------- ----------------- ------------ -----            ----\n\
    0      MAKER SSD 512 S1234ABC     SSD       False   OK                Healthy      Auto-Select 476.94 GB\n\n";
const JSON: &str = "[\n  {\"DeviceId\": \"0\", \"FriendlyName\": \"MAKER SSD 512\", \"HealthStatus\": 0, \"OperationalStatus\": [2], \"BusType\": 17}\n]\n";

const DEFENDER: &str = "\n\nAMRunningMode                   : Normal\nAntivirusEnabled                : True\n\
    AntivirusSignatureLastUpdated   : 2026/09/07 7:37:10\nAntivirusSignatureVersion       : 1.435.556.0\nRealTimeProtectionEnabled       : True\n\n";
const PENDING: &str = "2026-09 セキュリティ更新プログラム (KB5129195) [2026/09/14 0:00:00]\n";

fn read(kind: &str, bytes: &[u8]) -> Result<Outcome, Unreadable> {
    let Read::Text(read) = find(kind).unwrap().read else { panic!("{kind} reads no text") };
    read(&text::decode(bytes), None)
}

/// UTF-8 and UTF-16 in both orders, with each end of a line.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let lines = text.replace("\r\n", "\n");
    let wide = |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let of = |text: &str| {
        let marked = format!("\u{feff}{text}");
        [text.as_bytes().to_vec(), marked.clone().into_bytes(), wide(&marked, u16::to_le_bytes), wide(&marked, u16::to_be_bytes)]
    };
    [of(&lines), of(&lines.replace('\n', "\r\n"))].concat()
}

#[test]
fn every_encoding_of_windows_says_the_same() {
    for (kind, text, status) in [
        ("w32tm", STATUS, Status::Ok),
        ("w32tm", STOPPED, Status::Unknown),
        ("physicaldisk", LIST, Status::Bad),
        ("physicaldisk", TABLE, Status::Ok),
        ("physicaldisk", JSON, Status::Ok),
        ("defender", DEFENDER, Status::Ok),
        ("wua", PENDING, Status::Bad),
        ("wbadmin", VERSIONS, Status::Ok),
        ("veeam", SESSIONS, Status::Ok),
    ] {
        let plain = read(kind, text.as_bytes()).unwrap();
        assert_eq!((plain.status, plain.records.len()), (status, usize::from(status != Status::Unknown)), "{kind} {}", plain.reason);
        for bytes in forms(text) {
            // What is repeated of an input stands in `reason` without the end of its line.
            let shown = serde_json::to_string(&read(kind, &bytes).unwrap()).unwrap();
            assert_eq!(shown, serde_json::to_string(&plain).unwrap(), "{kind}: {:?}", &bytes[..bytes.len().min(12)]);
        }
    }
}

#[test]
fn a_japanese_console_says_the_same_in_shift_jis() {
    assert_eq!(read("w32tm", STATUS_SHIFT_JIS).unwrap(), read("w32tm", STATUS.as_bytes()).unwrap());
    let stopped = read("w32tm", STOPPED_SHIFT_JIS).unwrap();
    assert_eq!((stopped.status, stopped.faults[0].code), (Status::Unknown, "not_running"));
    let versions = read("wbadmin", VERSIONS_SHIFT_JIS).unwrap();
    let of = |outcome: &Outcome, key: &str| outcome.records[0][key].clone();
    for key in ["last_success_at", "generations", "result"] {
        assert_eq!(of(&versions, key), of(&read("wbadmin", VERSIONS.as_bytes()).unwrap(), key), "{key}");
    }
    assert_eq!(of(&versions, "last_success_at"), "2026-03-01T18:13:00Z");
}
