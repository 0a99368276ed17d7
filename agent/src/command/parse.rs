//! `parse`: how the agent reads a tool's output, for somebody who has a file of it.

use super::{complain, print, print_json};
use crate::cli::{Lang, ParseArgs, exit};
use crate::host::Host;
use crate::probe::tree;
use flate2::read::MultiGzDecoder;
use mimamori_parse::{INPUT_BYTES_MAX, KINDS, Kind, Outcome, Read as Reads, Unreadable, find, text};
use mimamori_shared::config::suggest;
use mimamori_shared::time;
use serde_json::json;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The first two bytes of a gzip member (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// `/sys/devices/system/edac` holds `mc/mc0/csrow0/ch0_ce_count`.
const DEPTH: usize = 5;

/// Reads one input and prints what it says. Bad health is no failure of this command; an input that cannot be read is
/// wrong usage.
pub(super) fn parse(args: &ParseArgs, lang: Lang) -> u8 {
    if args.list {
        return list(lang);
    }
    let (Some(name), Some(path)) = (&args.kind, &args.path) else { return exit::USAGE };
    let Some(kind) = find(name) else {
        let near = suggest(name, KINDS.iter().map(|kind| kind.name)).map(|near| format!(" ({}`{near}`?)", lang.of("did you mean ", "もしかして：")));
        complain(&format!("{} `{name}`{}", lang.of("no such kind:", "その種類はありません："), near.unwrap_or_default()));
        complain(lang.of("`mimamori-agent parse --list` names them all", "`mimamori-agent parse --list`で一覧を表示します"));
        return exit::USAGE;
    };
    let at_ms = match args.at.as_deref().map(time::parse).transpose() {
        Ok(at_ms) => at_ms,
        Err(fault) => {
            complain(&format!("--at: {}", lang.of(fault.to_string().as_str(), "2026-11-22T09:00:00+09:00 のような時刻ではありません")));
            return exit::USAGE;
        }
    };
    match judge(kind, path, at_ms) {
        Ok(outcome) => {
            print_json(&shown(kind, &outcome));
            exit::OK
        }
        Err(why) => {
            let why = match &why {
                Why::System(fault) => lang.of(fault.to_string(), system_ja(fault)),
                Why::Unreadable(fault) => lang.of(fault.to_string().as_str(), fault.ja().as_str()).to_owned(),
                Why::Folder => lang.of("a folder; this kind reads a file", "フォルダーです。この種類はファイルを読みます").to_owned(),
                Why::File => lang.of("a file; this kind reads a folder", "ファイルです。この種類はフォルダーを読みます").to_owned(),
            };
            complain(&format!("{}: {why}", path.display()));
            exit::USAGE
        }
    }
}

fn list(lang: Lang) -> u8 {
    for kind in KINDS {
        print(&format!("{:<18} {}\n", kind.name, lang.of(kind.about, kind.about_ja)));
    }
    exit::OK
}

fn system_ja(fault: &io::Error) -> String {
    match fault.kind() {
        io::ErrorKind::NotFound => "ファイルがありません".to_owned(),
        io::ErrorKind::PermissionDenied => "読み取り権限がありません".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("gzipとして展開できません（{fault}）"),
        _ => format!("読み取れません（{fault}）"),
    }
}

/// Why there is no answer.
#[derive(Debug)]
enum Why {
    System(io::Error),
    Unreadable(Unreadable),
    Folder,
    File,
}

fn judge(kind: &Kind, path: &Path, at_ms: Option<i64>) -> Result<Outcome, Why> {
    let is_folder = path != Path::new("-") && path.is_dir();
    match kind.read {
        Reads::Tree(read) if is_folder => {
            let tree = tree::read(&Host::recorded(path), "", DEPTH, |_| true);
            read(&tree.map_err(|_| Why::Unreadable(Unreadable::TooLarge))?, at_ms).map_err(Why::Unreadable)
        }
        Reads::Tree(_) => Err(Why::File),
        Reads::Text(_) | Reads::Bytes(_) if is_folder => Err(Why::Folder),
        Reads::Text(read) => read(&text::decode(&bytes(path)?), at_ms).map_err(Why::Unreadable),
        Reads::Bytes(read) => read(&beginning(path)?, at_ms).map_err(Why::Unreadable),
    }
}

/// The input, unpacked where it is packed. Neither side of that may be larger than any tool prints.
fn bytes(path: &Path) -> Result<Vec<u8>, Why> {
    whole(beginning(path)?)
}

/// The same, or its beginning where there is more of it.
fn beginning(path: &Path) -> Result<Vec<u8>, Why> {
    let packed = if path == Path::new("-") { bounded(io::stdin().lock()) } else { File::open(path).map_err(Why::System).and_then(bounded) }?;
    if packed.starts_with(&GZIP) { bounded(MultiGzDecoder::new(whole(packed)?.as_slice())) } else { Ok(packed) }
}

/// At most one byte more than may be.
fn bounded(input: impl Read) -> Result<Vec<u8>, Why> {
    let mut bytes = Vec::new();
    let most = u64::try_from(INPUT_BYTES_MAX).unwrap_or(u64::MAX);
    input.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(Why::System)?;
    Ok(bytes)
}

fn whole(bytes: Vec<u8>) -> Result<Vec<u8>, Why> {
    if bytes.len() > INPUT_BYTES_MAX { Err(Why::Unreadable(Unreadable::TooLarge)) } else { Ok(bytes) }
}

fn shown(kind: &Kind, outcome: &Outcome) -> serde_json::Value {
    let mut shown = json!({"schema": "mimamori.parse/1", "kind": kind.name});
    // An outcome is a structure of plain values: making JSON of it cannot fail.
    let rest = serde_json::to_value(outcome).unwrap_or_default();
    if let (Some(shown), serde_json::Value::Object(rest)) = (shown.as_object_mut(), rest) {
        shown.extend(rest);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const PSI: &str = "some avg10=0.50 avg60=0.00 avg300=0.00 total=7\n";

    fn put(name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = tempfile::tempdir().unwrap().keep().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn an_answer_has_the_frozen_shape_packed_or_not() {
        let kind = find("psi").unwrap();
        let plain = shown(kind, &judge(kind, &put("io", PSI.as_bytes()), None).unwrap());
        let keys: Vec<&str> = plain.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["faults", "kind", "observed_at", "readings", "reason", "records", "schema", "source_fresh_at", "status"]);
        assert_eq!((&plain["schema"], &plain["status"], &plain["observed_at"]), (&json!("mimamori.parse/1"), &json!("ok"), &json!(null)));
        assert_eq!(shown(kind, &judge(kind, &put("io.gz", &gzip(PSI.as_bytes())), None).unwrap()), plain);
        // Two members are one file (RFC 1952, 2.2).
        let (first, second) = PSI.split_at(20);
        let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
        assert_eq!(shown(kind, &judge(kind, &put("two.gz", &members), None).unwrap()), plain);
    }

    #[test]
    fn what_is_too_large_broken_or_of_the_wrong_sort_is_said() {
        let kind = find("psi").unwrap();
        let bomb = gzip(&vec![b'a'; INPUT_BYTES_MAX + 1]);
        assert!(bomb.len() < INPUT_BYTES_MAX / 100);
        assert!(matches!(judge(kind, &put("bomb.gz", &bomb), None), Err(Why::Unreadable(Unreadable::TooLarge))));
        let half = gzip(PSI.as_bytes());
        assert!(matches!(judge(kind, &put("half.gz", &half[..half.len() / 2]), None), Err(Why::System(_))));
        assert!(matches!(judge(kind, Path::new("/nowhere/at/all"), None), Err(Why::System(_))));
        assert!(matches!(judge(kind, std::env::temp_dir().as_path(), None), Err(Why::Folder)));
        assert!(matches!(judge(kind, &put("empty", b""), None), Err(Why::Unreadable(Unreadable::Empty))));
    }

    #[test]
    fn of_a_pattern_file_that_is_larger_than_any_text_the_beginning_is_read() {
        let header = "ClamAV-VDB:05 Nov 2026 07-37 +0900:27811:2076041:90:0123456789abcdef0123456789abcdef:c2ln:b:1793831820";
        let mut file = format!("{header:<512}").into_bytes();
        file.extend(GZIP);
        file.resize(INPUT_BYTES_MAX + 1000, 7);
        let kind = find("clamav-cvd").unwrap();
        assert_eq!(judge(kind, &put("daily.cvd", &file), None).unwrap().reason, "version 27811 of 2076041 signatures");
        assert!(matches!(judge(find("psi").unwrap(), &put("large", &file), None), Err(Why::Unreadable(Unreadable::TooLarge))));
    }

    #[test]
    fn every_kind_takes_any_bytes_and_says_the_same_twice() {
        for kind in KINDS {
            for bytes in [&b""[..], b"\0\xff", b"{}", b"[]", b"a b c\n1 2 3\n", PSI.as_bytes()] {
                let path = put("input", bytes);
                let show = |path: &Path| judge(kind, path, None).map(|outcome| shown(kind, &outcome)).map_err(|why| format!("{why:?}"));
                assert_eq!(show(&path), show(&path), "{}", kind.name);
            }
        }
    }
}
