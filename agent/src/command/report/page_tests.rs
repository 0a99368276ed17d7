//! The page with nothing on the machine, and with strings that would break out of it.

use super::*;
use crate::command::report::gather::Sum;
use crate::core::Settings;
use crate::identity::Enrolment;
use crate::outbox::Noted;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, ScopeTerms};
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Hash, Lease};
use mimamori_shared::payload::{Receipt, ReceiptStatus};
use std::collections::{BTreeMap, BTreeSet};

const HOSTILE: &str = "\"><script src=\"http://evil.example/x.js\"></script><img src=x onerror='alert(1)'>&\u{202e}\n<!--";

/// The configuration holds back a field that the consent would let go.
fn settings() -> Settings {
    let plan = Plan { v: 1, interval_s: 60, sections: BTreeMap::from([("cpu".to_owned(), 300)]) };
    Settings { plan, except: BTreeSet::from([9]) }
}

fn bare() -> Facts {
    Facts {
        now_ms: 1_795_324_604_000,
        identity: Err("this machine is not enrolled".to_owned()),
        consent: Err(NoConsent::Missing("/etc/mimamori/consent.toml".to_owned())),
        settings: settings(),
        running: false,
        ledger: Ok(Kept::default()),
        noted: Vec::new(),
        push_fail_ms: [0; 6],
        unsent: 0,
        call: "mimamori-agent".to_owned(),
        consent_path: "/etc/mimamori/consent.toml".to_owned(),
    }
}

fn full(text: &str) -> Facts {
    let given = Enrolment {
        collector_id: CollectorId([1; 16]),
        agent_id: AgentId([2; 16]),
        url: "https://rsc.example:8443".to_owned(),
        root_key: String::new(),
        ca_pin: Hash::ZERO,
        recipient: String::new(),
        facility: text.to_owned(),
        machine: text.to_owned(),
        enrolled_at_ms: 0,
    };
    let scopes = BTreeMap::from([
        (Scope::Heartbeat, ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() }),
        (Scope::Performance, ScopeTerms { every_s: 300, except: vec![8], include: Vec::new() }),
    ]);
    let terms = ConsentTerms {
        v: 1,
        valid_from_ms: 0,
        valid_to_ms: i64::MAX,
        mode: ConsentMode::Continuous,
        utc_offset_s: 32_400,
        windows: Vec::new(),
        quiet: Vec::new(),
        scopes,
        approval_hash: Hash::ZERO,
        example: false,
    };
    let receipt = Receipt {
        collector_id: CollectorId([1; 16]),
        agent_id: AgentId([2; 16]),
        chain_id: ChainId([3; 16]),
        branch: 0,
        seq: 41,
        head_hash: Hash::ZERO,
        received_at_ms: 1_795_324_600_000,
        lease: Lease([0; 16]),
        status: ReceiptStatus::Ok,
    };
    let kept = Kept {
        entries: 42,
        sent_today: BTreeMap::from([("report", Sum { entries: 40, bytes: 40_123 }), ("statement", Sum { entries: 2, bytes: 900 })]),
        span_ms: Some((1_795_320_000_000, 1_795_324_000_000)),
        waiting_today: Sum { entries: 3, bytes: 3000 },
        gone: vec![
            Gone { first_seq: 5, last_seq: 9, reason: Some(LossReason::Quota), span_ms: Some((0, 1)) },
            Gone { first_seq: 11, last_seq: 11, reason: None, span_ms: None },
        ],
        more_gone: 0,
        receipt: Some((receipt, Ok(()))),
    };
    Facts {
        identity: Ok(Who { given, agent_fingerprint: "1111-2222".to_owned(), root_fingerprint: "3333-4444".to_owned() }),
        consent: Ok(ConsentFile { terms, approver: text.to_owned(), reason: text.to_owned(), withdrawn_keeping: None }),
        running: true,
        ledger: Ok(kept),
        noted: vec![Noted { kind: NotedKind::Revoked, at_ms: 0 }, Noted { kind: NotedKind::Failing(Layer::Proxy), at_ms: 0 }],
        push_fail_ms: [0, 0, 61_000, 0, 0, 0],
        unsent: 3,
        consent_path: text.to_owned(),
        call: text.to_owned(),
        ..bare()
    }
}

/// Every tag of the page, in order, as it stands there.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|part| part.split_once('>').map_or_else(|| panic!("a tag without an end: {part}"), |(tag, _)| tag)).collect()
}

/// Only tags that this program writes, closed in order, and nothing that reaches outside.
#[track_caller]
fn sound(page: &str) {
    let known = ["html", "head", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td", "span", "code"];
    let mut open = Vec::new();
    for tag in tags(page) {
        let name = tag.split_whitespace().next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if ["!DOCTYPE", "meta", "br"].contains(&name) => {}
            None => {
                assert!(known.contains(&name), "a tag from elsewhere: {tag}");
                open.push(name);
            }
        }
        let attributes = tag.split_whitespace().skip(1).filter_map(|part| part.split_once('=')).map(|(name, _)| name);
        for attribute in attributes {
            assert!(["lang", "class", "charset", "http-equiv", "name", "content"].contains(&attribute), "{tag}");
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    assert!(!page.contains("url(") && !page.contains("@import"));
}

#[test]
fn a_machine_with_nothing_gives_a_page_that_says_so() {
    let page = render(&bare());
    sound(&page);
    for words in [
        "Nothing is collected",
        "何も収集していません",
        "no identity",
        "未登録",
        "The ledger is empty",
        "台帳は空です",
        "None is held yet",
        "Nothing is known to have failed",
        "sudo systemctl disable --now mimamori-agent",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http:") && !page.contains("https:"), "no address at all");
}

#[test]
fn everything_that_is_known_stands_on_the_page_in_both_languages() {
    let page = render(&full("office"));
    sound(&page);
    for words in [
        "office",
        "1111-2222",
        "3333-4444",
        "https://rsc.example:8443",
        "cpu.user_ms",
        "performance, 5m",
        "40123",
        "41023",
        "2026-11-22T14:16:40+09:00",
        "Verified offline",
        "オフライン検証済み",
        "revoked",
        "失効",
        "1m1s",
        "プロキシを通過できません",
        "5 – 9",
        "保存容量の超過",
        "11 – 11",
        "uninstall --purge --yes",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let held = page.split("Held back").nth(1).unwrap();
    assert!(held.split("</tr>").next().unwrap().contains("cpu.steal_ms"), "{held}");
    assert!(!page.contains("http:"), "nothing is fetched from anywhere");
}

#[test]
fn hostile_words_stay_words() {
    let page = render(&full(HOSTILE));
    sound(&page);
    assert!(!page.to_lowercase().contains("<script") && !page.contains("<img") && !page.contains('\u{202e}'));
    assert!(page.contains("&lt;script src=&quot;http://evil.example/x.js&quot;&gt;"), "and can be read");
}
