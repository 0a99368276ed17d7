//! Keys are written once, closed to others, and changed without a moment in which none is there.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

const NOW: i64 = 1_795_324_604_000;

fn made() -> (tempfile::TempDir, Keys) {
    let dir = tempfile::tempdir().unwrap();
    let mut byte = 0;
    let mut random = || {
        byte += 1;
        Ok([byte; 32])
    };
    let keys = init(dir.path(), &["127.0.0.1".to_owned()], NOW, &mut random).unwrap();
    (dir, keys)
}

#[test]
fn keys_are_made_once_and_read_back() {
    let (dir, keys) = made();
    assert!(matches!(init(dir.path(), &[], NOW, &mut || Ok([1; 32])), Err(KeysError::Exists(_))));
    let again = load(dir.path()).unwrap();
    assert_eq!((again.collector_id, again.root, again.certificate), (keys.collector_id, keys.root, keys.certificate));
    fs::remove_file(dir.path().join("root.key")).unwrap();
    assert!(load(dir.path()).is_ok(), "the root may be carried away");
}

#[test]
fn a_link_that_waits_where_a_file_is_written_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (other, path) = (dir.path().join("other"), dir.path().join("collector.toml"));
    fs::write(&other, "of somebody else").unwrap();
    std::os::unix::fs::symlink(&other, dir.path().join("collector.new")).unwrap();
    write(&path, b"keys").unwrap();
    assert_eq!((fs::read_to_string(other).unwrap(), fs::read_to_string(&path).unwrap()), ("of somebody else".to_owned(), "keys".to_owned()));
    assert!(path.symlink_metadata().unwrap().is_file());
}

#[test]
fn a_secret_that_others_can_read_is_refused() {
    let (dir, _) = made();
    let path = dir.path().join("signing.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(load(dir.path()).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn another_signing_key_does_not_fit_the_certificate() {
    let (dir, _) = made();
    write(&dir.path().join("signing.key"), to_hex(&[99; 32]).as_bytes()).unwrap();
    assert!(matches!(load(dir.path()), Err(KeysError::Damaged(_))));
}

#[test]
fn the_signing_key_is_changed_under_the_root_and_a_cut_at_any_step_leaves_one_that_holds() {
    let (dir, first) = made();
    let (folder, root) = (dir.path(), dir.path().join("root.key"));
    let names = ["signing.key", "signing.next", "collector.toml"];
    let before = names.map(|name| fs::read(folder.join(name)).ok());
    let second = rotate_signing(folder, &root, NOW - 5, &mut || Ok([77; 32])).unwrap();
    assert_ne!(second.signing.public(), first.signing.public());
    assert_eq!((second.root, second.collector_id, second.issued_at_ms), (first.root, first.collector_id, NOW + 1), "later, whatever the clock says");
    let restore = |files: [Option<&Vec<u8>>; 3]| {
        for (name, bytes) in names.iter().zip(files) {
            match bytes {
                Some(bytes) => write(&folder.join(name), bytes).unwrap(),
                None => drop(fs::remove_file(folder.join(name))),
            }
        }
    };
    let (new, after) = (fs::read(folder.join("signing.key")).unwrap(), fs::read(folder.join("collector.toml")).unwrap());
    // Cut before and behind the rename of collector.toml.
    restore([before[0].as_ref(), Some(&new), before[2].as_ref()]);
    assert_eq!(load(folder).unwrap().signing.public(), first.signing.public());
    restore([before[0].as_ref(), Some(&new), Some(&after)]);
    assert_eq!(load(folder).unwrap().signing.public(), second.signing.public());
    // And the next change starts from either.
    let third = rotate_signing(folder, &root, NOW + 9, &mut || Ok([78; 32])).unwrap();
    assert_eq!((load(folder).unwrap().signing.public(), third.issued_at_ms), (third.signing.public(), NOW + 9));
    assert!(!folder.join("signing.next").try_exists().unwrap());
    let fault = rotate_signing(folder, &folder.join("signing.key"), NOW, &mut || Ok([79; 32])).unwrap_err().to_string();
    assert!(fault.contains(&first.root.id().fingerprint()), "{fault}");
}

#[test]
fn the_tls_certificate_lasts_until_a_third_is_left_or_the_hosts_change() {
    let (dir, keys) = made();
    let first = tls(dir.path(), &keys.hosts, NOW).unwrap();
    assert_eq!(tls(dir.path(), &keys.hosts, NOW + 200 * DAY_MS).unwrap(), first);
    let second = tls(dir.path(), &keys.hosts, NOW + 300 * DAY_MS).unwrap();
    assert_ne!(second, first);
    assert_ne!(tls(dir.path(), &["localhost".to_owned()], NOW + 300 * DAY_MS).unwrap(), second);
    assert_eq!(pin(&dir.path().join("tls.pem")).unwrap(), pin(&dir.path().join("ca.pem")).unwrap());
}

#[test]
fn age_keys_have_ages_form() {
    let (identity, recipient) = age_texts(&StaticSecret::from([7; 32])).unwrap();
    assert!(identity.starts_with("AGE-SECRET-KEY-1") && identity.len() == 74, "{}", identity.len());
    assert!(recipient.starts_with("age1") && recipient.len() == 62, "{recipient}");
}

#[test]
fn hosts_are_names_or_addresses() {
    for good in ["localhost", "rsc.example", "127.0.0.1", "::1"] {
        assert!(is_host(good), "{good}");
    }
    for bad in ["", "a b", "a..b", "http://x", "a/b", "山"] {
        assert!(!is_host(bad), "{bad}");
    }
}
