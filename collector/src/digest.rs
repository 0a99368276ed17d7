//! What happened on a day: abuse, alarms, findings, and how much was stored. As JSON, for people, and as one line.

use crate::cli::Lang;
use crate::store::{AbuseRow, AlarmRow, FindingKind, Scope, Store, StoreError, Who};
use mimamori_domain::abuse::Abuse;
use mimamori_shared::time::show;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;
/// Origins named for each kind.
const ORIGINS_SHOWN: usize = 5;

/// A day of the operator's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// Days since 1970 there.
    pub number: i64,
    /// Hours it is ahead of UTC.
    pub offset_h: i64,
}

impl Day {
    /// The day of a moment.
    #[must_use]
    pub fn of(now_ms: i64, offset_h: i64) -> Day {
        Day { number: now_ms.saturating_add(offset_h.saturating_mul(HOUR_MS)).div_euclid(DAY_MS), offset_h }
    }

    /// The day written as `2026-11-27`.
    #[must_use]
    pub fn parse(text: &str, offset_h: i64) -> Option<Day> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        let days = time::Date::parse(text, &format).ok()? - time::Date::from_ordinal_date(1970, 1).ok()?;
        Some(Day { number: days.whole_days(), offset_h })
    }

    /// Its first hour, in hours since 1970, UTC.
    fn first_hour(self) -> i64 {
        self.number.saturating_mul(24).saturating_sub(self.offset_h)
    }

    /// Whether a collector whose first facility was added at `began_ms` could know anything of it by `now_ms`; both
    /// UTC, milliseconds since 1970.
    #[must_use]
    pub fn is_known(self, began_ms: i64, now_ms: i64) -> bool {
        self.begins_ms() <= now_ms && self.begins_ms().saturating_add(DAY_MS) > began_ms
    }

    /// When it begins, milliseconds since 1970.
    pub(crate) fn begins_ms(self) -> i64 {
        self.first_hour().saturating_mul(HOUR_MS)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let date = show(self.number.saturating_mul(DAY_MS));
        write!(f, "{} ({:+03}:00)", date.get(..10).unwrap_or_default(), self.offset_h)
    }
}

/// One kind of abuse on that day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// The first, milliseconds since 1970.
    pub first_at_ms: i64,
    /// The last, milliseconds since 1970.
    pub last_at_ms: i64,
    /// Who, most first.
    pub origins: Vec<(Who, u64)>,
}

/// A day's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Which day.
    pub day: Day,
    /// What was counted.
    pub events: BTreeMap<Abuse, Counted>,
    /// Alarms that held at some moment of it.
    pub alarms: Vec<AlarmRow>,
    /// Findings last seen on it, by kind.
    pub findings: BTreeMap<FindingKind, u64>,
    /// Entries and bytes that were stored on it.
    pub stored: (u64, u64),
}

/// Reads a day's digest.
///
/// # Errors
/// When the database failed.
pub async fn load(store: &Store, scope: &Scope, day: Day) -> Result<Digest, StoreError> {
    let (from_ms, to_ms) = (day.begins_ms(), day.begins_ms().saturating_add(DAY_MS));
    let hours = (day.first_hour(), day.first_hour().saturating_add(24));
    let rows = store.abuse(scope, hours.0, hours.1).await?;
    let mut findings = BTreeMap::new();
    for finding in store.findings(scope).await?.into_iter().filter(|finding| (from_ms..to_ms).contains(&finding.last_at_ms)) {
        *findings.entry(finding.kind).or_default() += finding.count;
    }
    let alarms = store.alarms(scope, from_ms, to_ms).await?;
    Ok(Digest { day, events: events(rows), alarms, findings, stored: store.hour_use(scope, hours.0, hours.1).await? })
}

fn events(rows: Vec<AbuseRow>) -> BTreeMap<Abuse, Counted> {
    let mut events: BTreeMap<Abuse, Counted> = BTreeMap::new();
    for row in rows {
        let fresh = || Counted { count: 0, first_at_ms: row.first_at_ms, last_at_ms: row.last_at_ms, origins: Vec::new() };
        let counted = events.entry(row.abuse).or_insert_with(fresh);
        counted.count = counted.count.saturating_add(row.count);
        counted.first_at_ms = counted.first_at_ms.min(row.first_at_ms);
        counted.last_at_ms = counted.last_at_ms.max(row.last_at_ms);
        match counted.origins.iter_mut().find(|(who, _)| *who == row.who) {
            Some((_, count)) => *count = count.saturating_add(row.count),
            None => counted.origins.push((row.who, row.count)),
        }
    }
    for counted in events.values_mut() {
        counted.origins.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        counted.origins.truncate(ORIGINS_SHOWN);
    }
    events
}

impl Digest {
    /// Whether there is nothing that somebody should look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.alarms.is_empty() && self.findings.is_empty()
    }

    /// Whether something of that day is kept, were it only that something was stored.
    #[must_use]
    pub fn says_something(&self) -> bool {
        !self.is_empty() || self.stored != (0, 0)
    }

    /// For people, of a day of which nothing can be known: it has not come, or the collector was not there.
    #[must_use]
    pub fn unknown(&self, lang: Lang) -> String {
        lang.of(
            format!("Digest of {}\nNothing is known of that day: it has not come yet, or this collector was not there.\n", self.day),
            format!("日報 {}\nこの日については何も分かりません。まだ来ていない日か、このコレクターがなかった日です。\n", self.day),
        )
    }

    /// One line for the log: names and numbers only.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts: Vec<String> = self.events.iter().map(|(abuse, counted)| format!("{} {}", abuse.name(), counted.count)).collect();
        parts.extend(self.alarms.iter().map(|alarm| format!("ALARM {}", alarm.abuse.name())));
        parts.extend(self.findings.iter().map(|(kind, count)| format!("finding {} {count}", kind.name())));
        let what = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
        format!("digest of {}: {what}; stored {} entries, {} bytes", self.day, self.stored.0, self.stored.1)
    }

    /// For people.
    #[must_use]
    pub fn text(&self, lang: Lang) -> String {
        let mut lines = vec![format!("{} {}", lang.of("Digest of", "日報"), self.day)];
        lines.push(format!("{}: {} ({} bytes)", lang.of("Entries stored", "保存した記録"), self.stored.0, self.stored.1));
        if self.is_empty() {
            lines.push(lang.of("Nothing to look at: no abuse, no alarm, no finding.", "異常なし：不正・警報・指摘はありません。").to_owned());
        }
        for alarm in &self.alarms {
            let until = alarm.until_ms.map_or_else(|| lang.of("still", "継続中").to_owned(), |ms| lang.brief(ms));
            lines.push(format!("{}: {} {} - {until}", lang.of("ALARM", "警報"), words(alarm.abuse, lang), lang.brief(alarm.since_ms)));
            lines.push(format!("  {}", lang.of(alarm.abuse.mend_en(), alarm.abuse.mend_ja())));
        }
        for (abuse, counted) in &self.events {
            let origins: Vec<String> = counted.origins.iter().map(|(who, count)| format!("{who} {count}")).collect();
            lines.push(format!(
                "{}: {} ({} - {}; {})",
                words(*abuse, lang),
                counted.count,
                lang.brief(counted.first_at_ms),
                lang.brief(counted.last_at_ms),
                origins.join(", ")
            ));
        }
        for (kind, count) in &self.findings {
            lines.push(format!("{} {}: {count}", lang.of("finding", "指摘"), kind.name()));
        }
        lines.join("\n") + "\n"
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let origins = |counted: &Counted| counted.origins.iter().map(|(who, count)| json!({"who": who.to_string(), "count": count})).collect::<Vec<_>>();
        let events = self.events.iter().map(|(abuse, counted)| {
            let (first, last) = (counted.first_at_ms, counted.last_at_ms);
            json!({"kind": abuse.name(), "count": counted.count, "first_at_ms": first, "last_at_ms": last, "origins": origins(counted)})
        });
        let alarms =
            self.alarms.iter().map(|alarm| json!({"kind": alarm.abuse.name(), "since_ms": alarm.since_ms, "until_ms": alarm.until_ms, "count": alarm.count}));
        let findings = self.findings.iter().map(|(kind, count)| json!({"kind": kind.name(), "count": count}));
        json!({
            "schema": "mimamori.digest/1", "day": self.day.to_string(), "nothing": self.is_empty(), "events": events.collect::<Vec<_>>(),
            "alarms": alarms.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>(), "entries": self.stored.0, "bytes": self.stored.1,
        })
    }
}

fn words(abuse: Abuse, lang: Lang) -> &'static str {
    lang.of(abuse.words_en(), abuse.words_ja())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T05:16:44Z.
    const NOW: i64 = 1_795_324_604_000;

    #[test]
    fn a_day_is_the_operators() {
        let day = Day::of(NOW, 9);
        assert_eq!((day.to_string().as_str(), Day::parse("2026-11-22", 9)), ("2026-11-22 (+09:00)", Some(day)));
        assert_eq!(show(day.begins_ms()), "2026-11-21T15:00:00Z");
        assert_eq!(Day::of(NOW + 10 * HOUR_MS, 9).number, day.number + 1, "midnight in Japan is at 15:00 UTC");
        assert_eq!(Day::of(NOW, -11).to_string(), "2026-11-21 (-11:00)");
        for bad in ["2026-11", "2026-02-30", "", "x"] {
            assert_eq!(Day::parse(bad, 9), None, "{bad}");
        }
    }

    #[test]
    fn of_a_day_to_come_and_of_one_before_the_collector_nothing_is_known() {
        let day = |days: i64| Day::of(NOW + days * DAY_MS, 9);
        let known: Vec<bool> = (-3..=2).map(|days| day(days).is_known(NOW - DAY_MS, NOW)).collect();
        assert_eq!(known, [false, false, true, true, false, false], "from the first facility's day to today");
        let none = Digest { day: day(1), events: BTreeMap::new(), alarms: Vec::new(), findings: BTreeMap::new(), stored: (0, 0) };
        assert!(!none.says_something() && Digest { stored: (1, 9), ..none.clone() }.says_something());
        assert!(none.unknown(Lang::En).contains("2026-11-23") && none.unknown(Lang::Ja).contains("何も分かりません"));
    }

    #[test]
    fn an_empty_day_says_so_and_a_full_one_names_kinds_origins_and_mends() {
        let day = Day::of(NOW, 9);
        let empty = Digest { day, events: BTreeMap::new(), alarms: Vec::new(), findings: BTreeMap::new(), stored: (3, 400) };
        assert_eq!(empty.line(), "digest of 2026-11-22 (+09:00): nothing; stored 3 entries, 400 bytes");
        assert!(empty.text(Lang::En).contains("Nothing to look at") && empty.text(Lang::Ja).contains("異常なし") && empty.json()["nothing"] == true);
        let row =
            |who: &str, count| AbuseRow { hour: 1, abuse: Abuse::Malformed, who: Who::Source(who.to_owned()), count, first_at_ms: NOW, last_at_ms: NOW + 1 };
        let rows: Vec<AbuseRow> = (0..9).map(|n| row(&format!("192.0.2.{n}"), n + 1)).chain([row("192.0.2.0", 50)]).collect();
        let alarms = vec![AlarmRow { abuse: Abuse::Malformed, since_ms: NOW, until_ms: None, count: 95 }];
        let full = Digest { events: events(rows), alarms, findings: [(FindingKind::Diverged, 2)].into(), ..empty };
        assert_eq!(full.events[&Abuse::Malformed].origins[0], (Who::Source("192.0.2.0".to_owned()), 51));
        assert_eq!(full.events[&Abuse::Malformed].origins.len(), ORIGINS_SHOWN);
        assert!(full.line().contains("malformed 95, ALARM malformed, finding diverged 2;"), "{}", full.line());
        for (lang, mend) in [(Lang::En, Abuse::Malformed.mend_en()), (Lang::Ja, Abuse::Malformed.mend_ja())] {
            assert!(full.text(lang).contains(mend) && full.text(lang).contains("192.0.2.0 51"));
            assert!(full.text(lang).contains(&lang.brief(NOW)), "Japan's time for Japanese readers");
        }
        assert_eq!(full.json()["events"][0]["count"], 95);
    }
}
