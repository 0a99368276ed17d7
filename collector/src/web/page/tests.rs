use super::*;
use crate::view::tests::{AT_MS, fleet as view_of, machine};
use crate::view::{FacilityView, Life, MachineView};
use base64::Engine as _;
use mimamori_domain::presence::{Because, State};

fn both(view: &FleetView, lang: Lang) -> [String; 2] {
    let facility = &view.facilities[0];
    [fleet::page(view, lang), machine::page(view, &facility.alias, &facility.machines[0].alias, lang).unwrap()]
}

#[test]
fn the_policy_allows_our_style_and_nothing_else() {
    let hash = base64::engine::general_purpose::STANDARD.encode(mimamori_shared::sign::sha256(CSS.as_bytes()).0);
    assert!(SECURITY_HEADERS[0].1.contains(&format!("style-src 'sha256-{hash}'")), "the style changed; its hash is {hash}");
    for page in both(&view_of(vec![machine("ct")]), Lang::En) {
        assert!(page.contains(&format!("<style>{CSS}</style>")));
        for forbidden in ["<script", "style=\"", "http://", "https://", "url(", "@import", " on", "<img"] {
            let markup: String = page.split('<').skip(1).map(|tag| format!("<{}>", tag.split('>').next().unwrap())).collect();
            assert!(!markup.contains(forbidden), "{forbidden}");
        }
    }
}

/// Every string an agent or a facility can choose, one at a time.
#[test]
fn no_string_becomes_markup() {
    const EVIL: &str = "<script>alert('x')</script>\"><img src=x onerror=1>&";
    type Spoil = fn(&mut FleetView);
    let spoils: [(&str, Spoil); 7] = [
        ("version", |view| view.version = EVIL.to_owned()),
        ("facility alias", |view| view.facilities[0].alias = EVIL.to_owned()),
        ("facility name", |view| view.facilities[0].name = EVIL.to_owned()),
        ("machine alias", |view| view.facilities[0].machines[0].alias = EVIL.to_owned()),
        ("fingerprint", |view| view.facilities[0].machines[0].fingerprint = EVIL.to_owned()),
        ("agent version", |view| view.facilities[0].machines[0].agent_version = EVIL.to_owned()),
        ("all at once", |view| {
            view.facilities[0].name = EVIL.to_owned();
            view.facilities[0].machines[0].alias = EVIL.to_owned();
        }),
    ];
    let plain = |page: &str| page.matches('<').count();
    let expected = both(&view_of(vec![machine("ct")]), Lang::En).map(|page| plain(&page));
    for (what, spoil) in spoils {
        let mut view = view_of(vec![machine("ct")]);
        spoil(&mut view);
        for (page, expected) in both(&view, Lang::En).iter().zip(expected) {
            assert_eq!(plain(page), expected, "{what} adds an element");
            assert!(!page.contains("<script") && !page.contains("<img"), "{what}");
        }
    }
}

/// A report's strings are words: what is no word never becomes a report.
#[test]
fn a_report_cannot_carry_markup() {
    let report = r#"{"class":"sample","readings":{"disk":[{"name":"<b>","reads":1}]}}"#;
    assert!(serde_json::from_str::<mimamori_shared::payload::Report>(report).is_err());
}

#[test]
fn an_empty_collector_says_what_to_do() {
    let empty = FleetView { facilities: Vec::new(), ..view_of(Vec::new()) };
    for lang in [Lang::En, Lang::Ja] {
        assert!(fleet::page(&empty, lang).contains("<code>mimamori-collector facility add …</code>"));
    }
    assert!(fleet::page(&view_of(Vec::new()), Lang::Ja).contains(Key::NoMachine.text(Lang::Ja)));
    assert_eq!(machine::page(&empty, "north", "ct", Lang::En), None);
}

#[test]
fn the_example_is_marked_everywhere() {
    let mut view = view_of(vec![MachineView { consent_example: true, ..machine("ct") }]);
    assert!(both(&view, Lang::En).iter().all(|page| page.matches("EXAMPLE").count() == 1));
    view.facilities[0].example = true;
    assert!(both(&view, Lang::En).iter().all(|page| page.matches("EXAMPLE").count() == 2 && page.contains("not a real one")));
    assert!(both(&view, Lang::Ja).iter().all(|page| page.contains(">例<") || page.contains(">例: ")));
}

#[test]
fn states_stand_by_word_shape_and_reason() {
    let expected = [("●", "up"), ("▼", "down"), ("?", "not known"), ("◇", "not consented"), ("×", "retired")];
    for (state, (shape, word)) in State::ALL.into_iter().zip(expected) {
        let one = MachineView { state, because: Because::Silent { grace_s: 150 }, ..machine("ct") };
        for page in both(&view_of(vec![one]), Lang::En) {
            assert!(page.contains(&format!("{shape}</span> {word}</span>")), "{word}");
            assert!(page.contains("no report for 150 s") && page.contains("since 2026-11-22 13:16:44 +09:00"));
        }
    }
}

#[test]
fn alarms_stand_above_all_with_what_to_do_and_a_quiet_day_says_so() {
    use crate::digest::Counted;
    use crate::store::{AlarmRow, Who};
    use mimamori_domain::abuse::Abuse;
    let mut view = view_of(vec![MachineView { skew_ms: Some(-121_000), ..machine("ct") }]);
    for lang in [Lang::En, Lang::Ja] {
        let page = fleet::page(&view, lang);
        assert!(page.contains(Key::NothingToday.text(lang)) && !page.contains(Key::Alarm.text(lang)));
        assert!(page.contains(&format!("{} -121 s<", Key::ClockOff.text(lang))));
    }
    view.facilities[0].machines[0].skew_ms = Some(315_576_000_000);
    let over = AlarmRow { abuse: Abuse::Rate, since_ms: AT_MS - 9_000, until_ms: Some(AT_MS), count: 7 };
    view.security.alarms = vec![AlarmRow { abuse: Abuse::Enrolment, since_ms: AT_MS, until_ms: None, count: 12 }, over];
    view.security.events.insert(Abuse::Enrolment, Counted { count: 12, first_at_ms: AT_MS, last_at_ms: AT_MS, origins: vec![(Who::Others, 12)] });
    for (lang, mend, past) in [(Lang::En, Abuse::Enrolment.mend_en(), Abuse::Rate.mend_en()), (Lang::Ja, Abuse::Enrolment.mend_ja(), Abuse::Rate.mend_ja())] {
        let page = fleet::page(&view, lang);
        assert!(page.contains(mend) && !page.contains(past), "an alarm that is over needs nothing any more");
        assert!(page.contains(": 12</li>") && !page.contains(Key::NothingToday.text(lang)));
        assert!(page.contains(Key::ClockUnused.text(lang)));
    }
}

#[test]
fn a_consent_says_how_it_allows_and_that_it_ends_soon() {
    let mode = Some(mimamori_shared::consent::ConsentMode::OnDemand);
    let soon = view_of(vec![MachineView { consent_mode: mode, consent_ends_in_days: Some(7), ..machine("ct") }]);
    for lang in [Lang::En, Lang::Ja] {
        let fine = view_of(vec![MachineView { consent_ends_in_days: None, ..machine("ct") }]);
        for (soon, fine) in both(&soon, lang).iter().zip(both(&fine, lang)) {
            for key in [Key::ConsentOnDemand, Key::ConsentEnds] {
                assert!(soon.contains(key.text(lang)) && !fine.contains(key.text(lang)), "{key:?}");
            }
        }
    }
}

#[test]
fn stale_readings_do_not_look_current() {
    let silent = view_of(vec![MachineView { state: State::NotKnown, ..machine("ct") }]);
    let [all, one] = both(&silent, Lang::En);
    assert!(all.contains("no current readings") && !all.contains("memory used"));
    assert!(one.contains("These readings are not current.") && one.contains("memory.total_bytes"));
    let [all, one] = both(&view_of(vec![machine("ct")]), Lang::En);
    assert!(all.contains("memory used: 75.0 %") && !one.contains("not current"));
}

#[test]
fn trouble_is_told_in_words_in_both_languages() {
    let troubled = MachineView {
        fork: Some(crate::store::ForkMark::Now),
        waiting_for: Some((7, AT_MS)),
        findings: 3,
        life: Life::Pending,
        preview: true,
        ..machine("ct")
    };
    let view = view_of(vec![troubled]);
    for lang in [Lang::En, Lang::Ja] {
        for page in both(&view, lang) {
            for key in [Key::Forked, Key::Waiting, Key::LifePending, Key::Preview, Key::Findings, Key::ConsentGranted] {
                assert!(page.contains(key.text(lang)), "{key:?}");
            }
            assert!(page.starts_with(&format!("<!DOCTYPE html>\n<html lang=\"{}\">", lang.tag())));
            assert!(page.contains("<meta http-equiv=\"refresh\" content=\"30\">"));
        }
    }
}

#[test]
fn the_machine_page_shows_every_reading_and_fault() {
    let view = view_of(vec![machine("ct")]);
    let [all, page] = both(&view, Lang::Ja);
    assert!(all.contains("href=\"/machines/north/ct?lang=ja\""));
    view.facilities[0].machines[0].report.as_ref().unwrap().readings.visit(|field, _, _| {
        assert!(page.contains(&format!("<code>{}</code>", field.path())) && page.contains(field.meaning_ja), "{}", field.path());
    });
    let reason = "エージェントに読み取り権限がありません<br><code>permission_denied</code>";
    assert!(page.contains(&format!("<td>ディスク入出力<br><code>disk.reads</code></td><td>sdb</td><td>{reason}</td>")), "{page}");
    assert!(page.contains("<td>2.0 GiB</td>") && page.contains("<h3>メモリ <code>memory</code>"));
    assert!(page.contains("<td>dns 5</td>") && page.contains("0011-2233"));
    assert!(page.contains("href=\"/machines/north/ct?lang=en\""));
    let other = FacilityView { alias: "south".to_owned(), ..view.facilities[0].clone() };
    let two = FleetView { facilities: vec![view.facilities[0].clone(), other], ..view };
    assert!(machine::page(&two, "south", "ct", Lang::En).is_some() && machine::page(&two, "south", "mr", Lang::En).is_none());
}

/// As very many entries as a section holds, one more, one named twice; and everything an agent can say at once.
#[test]
fn many_entries_stand_in_one_table_and_are_bounded() {
    use mimamori_shared::fields::{Array, Drive, Sensor};
    use mimamori_shared::payload::{Fault, FaultCode};
    let mut full = machine("ct");
    let report = full.report.as_mut().unwrap();
    let name = |n: usize| format!("{}{n:02}", "W".repeat(60)).parse().unwrap();
    report.readings.drive =
        (0..65).map(|n| Drive { name: name(n), temperature_celsius: Some(38), verdict: Some("bad".parse().unwrap()), ..Drive::default() }).collect();
    report.readings.array = ["md0", "md0"].map(|name| Array { name: name.parse().unwrap(), degraded: Some(1), ..Array::default() }).to_vec();
    report.readings.sensor = vec![Sensor { name: name(0), temperature_milli: Some(45_500), ..Sensor::default() }];
    report.faults =
        (0..300).map(|n| Fault { probe: "drive".parse().unwrap(), code: FaultCode::ALL[n % FaultCode::ALL.len()], name: Some(name(n % 64)) }).collect();
    for lang in [Lang::En, Lang::Ja] {
        let page = machine::page(&view_of(vec![full.clone()]), "north", "ct", lang).unwrap();
        let of = |section: &str| page.split("<h3>").find(|part| part.contains(&format!("<code>{section}</code>"))).unwrap().to_owned();
        let drives = of("drive");
        assert_eq!(
            (drives.matches("<th scope=\"row\">").count(), drives.matches("<td>38 °C</td>").count(), drives.contains(&words::more(1, lang))),
            (64, 64, true)
        );
        assert!(drives.contains("<div class=\"wide\">") && !drives.contains("drive.model"), "only what there is");
        assert_eq!(of("array").matches("<th scope=\"row\">md0</th>").count(), 2);
        assert!(of("sensor").contains("<td>45.5 °C</td>"));
        assert!(
            page.contains(&words::more(44, lang))
                && FaultCode::ALL.iter().all(|code| page.contains(&lang.of(code.words_en(), code.words_ja()).replace('\'', "&#39;")))
        );
    }
}

#[test]
fn what_is_not_in_order_stands_on_the_page_in_words() {
    use crate::view::tests::found;
    use mimamori_shared::payload::Standing;
    for (lang, state, about, subject) in
        [(Lang::En, "not in order", "A drive is failing.", "Drives sda"), (Lang::Ja, "異常", "ドライブに故障の兆候があります。", "ドライブ sda")]
    {
        let [all, page] = both(&view_of(vec![machine("ct")]), lang);
        let row =
            format!("<tr><td class=\"bad\">{state}</td><td>{about}<br><code>drive_health</code></td><td>{subject}</td><td>2026-11-22 13:16:44 +09:00</td>");
        assert!(page.contains(&row) && page.contains("<td>pending 8, percentage_used 103 %</td>"), "{page}");
        assert!(page.contains("<td>of_a_newer_agent<br><code>of_a_newer_agent</code></td>"), "an unknown check by its id");
        assert!(!page.contains(Key::NothingStands.text(lang)) && !page.contains(Key::LastSaid.text(lang)));
        assert!(all.contains(&format!("{about} sda")) && all.contains("of_a_newer_agent x"), "{all}");
        let silent = view_of(vec![MachineView { state: State::NotKnown, ..machine("ct") }]);
        assert!(both(&silent, lang)[1].contains(Key::LastSaid.text(lang)));
        let well = view_of(vec![MachineView { standing: Vec::new(), ..machine("ct") }]);
        assert!(both(&well, lang)[1].contains(Key::NothingStands.text(lang)));
        let many = (0..1024).map(|n| found("drive_health", &format!("d-{n}"), Standing::Bad)).collect();
        let [all, page] = both(&view_of(vec![MachineView { standing: many, ..machine("ct") }]), lang);
        assert!(all.contains(&words::more(1021, lang)) && !all.contains("d-3<"), "the list of all shows the worst");
        assert_eq!(page.matches("<code>drive_health</code>").count(), 1024);
    }
}

/// The newer one has the name; the page of the older one is reached by its agent id.
#[test]
fn a_replaced_machine_has_a_page_of_its_own() {
    use crate::view::{Life, MachineView};
    let old = MachineView { life: Life::Retired, agent_id: mimamori_shared::id::AgentId([0xab; 16]), agent_version: "0.0.7".to_owned(), ..machine("ct") };
    let (id, view) = (old.agent_id.to_string(), view_of(vec![machine("ct"), old]));
    let all = fleet::page(&view, Lang::En);
    assert!(all.contains(&format!("href=\"/machines/north/{id}?lang=en\"")) && all.contains("href=\"/machines/north/ct?lang=en\""));
    let [new, old] = ["ct", &id].map(|name| machine::page(&view, "north", name, Lang::En).unwrap());
    assert!(!new.contains("0.0.7") && old.contains("0.0.7") && old.contains(&format!("href=\"/machines/north/{id}?lang=ja\"")), "{old}");
}

/// Elements are closed in the order in which they were opened.
#[test]
fn pages_are_well_formed() {
    for page in both(&view_of(vec![machine("ct"), machine("mr")]), Lang::Ja) {
        let mut open = Vec::new();
        for tag in page.split('<').skip(2).map(|tag| tag.split('>').next().unwrap()) {
            let name = tag.split(' ').next().unwrap();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None if ["meta", "br"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}
