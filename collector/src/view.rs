//! What pages and metrics show, as plain data: made from the store, rendered without it. Sections are taken at intervals
//! of their own: what is shown is the newest of each, and whether it is current is judged by its own. A latest report always is a
//! live one (docs/WIRE.md, "Freshness"), so its clock tells the machine's skew by the offset of its boot.

mod standing;

pub use standing::standing;

use crate::digest::{self, Day, Digest};
use crate::store::{ForkMark, MachineRow, MachineState, Scope, StandingRow, Store, StoreError};
use crate::work::memory;
use mimamori_domain::presence::{Because, Presence, State, grace_ms};
use mimamori_domain::wall;
use mimamori_shared::consent::{ConsentMode, ConsentTerms, Plan, expiry_mark};
use mimamori_shared::fields::{Field, Readings, SECTIONS};
use mimamori_shared::id::{AgentId, CollectorId};
use mimamori_shared::payload::{ConsentState, Head, PushFail, Report};
use std::collections::{BTreeMap, HashMap};

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetView {
    /// The moment, by the collector's clock.
    pub at_ms: i64,
    /// The collector.
    pub collector_id: CollectorId,
    /// Its version.
    pub version: String,
    /// What was counted today of abuse, and the alarms that hold.
    pub security: Digest,
    /// The facilities, in the order in which they are shown.
    pub facilities: Vec<FacilityView>,
}

/// One facility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacilityView {
    /// Its alias.
    pub alias: String,
    /// Its name for people.
    pub name: String,
    /// True for the example that `make run` makes.
    pub example: bool,
    /// Its machines, in the order in which they are shown.
    pub machines: Vec<MachineView>,
}

/// Where a machine stands between enrolment and retirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Life {
    /// Waits for an operator who compares the fingerprint.
    Pending,
    /// Reports are taken.
    Active,
    /// Its key is no longer welcome.
    Revoked,
    /// Out of service for good.
    Retired,
}

impl Life {
    /// Every one.
    pub const ALL: [Life; 4] = [Life::Pending, Life::Active, Life::Revoked, Life::Retired];

    /// The name in the store and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Life::Pending => "pending",
            Life::Active => "active",
            Life::Revoked => "revoked",
            Life::Retired => "retired",
        }
    }

    /// The one of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Life> {
        Life::ALL.into_iter().find(|life| life.name() == name)
    }
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineView {
    /// Its agent.
    pub agent_id: AgentId,
    /// Its alias.
    pub alias: String,
    /// Where it stands.
    pub life: Life,
    /// What is known of it.
    pub state: State,
    /// Since when.
    pub since_ms: i64,
    /// Why.
    pub because: Because,
    /// The key's fingerprint as people compare it.
    pub fingerprint: String,
    /// The agent's version.
    pub agent_version: String,
    /// When the newest report was received.
    pub last_received_ms: Option<i64>,
    /// The machine's wall clock in the newest report.
    pub last_taken_ms: Option<i64>,
    /// The machine's clock minus the collector's, from live reports: positive when the machine's is ahead.
    pub skew_ms: Option<i64>,
    /// Ordinal of its newest chain; 0 before the first.
    pub epoch: u32,
    /// The place its newest chain goes on at.
    pub next_seq: u64,
    /// Whether its newest chain is forked, and what an operator said of it.
    pub fork: Option<ForkMark>,
    /// The place the collector waits for before it can go on, and since when.
    pub waiting_for: Option<(u64, i64)>,
    /// State of the consent; `None` before the first statement.
    pub consent: Option<ConsentState>,
    /// Whether the consent is the example that nobody approved.
    pub consent_example: bool,
    /// End of the consent, not included.
    pub consent_valid_to_ms: Option<i64>,
    /// How it allows to collect.
    pub consent_mode: Option<ConsentMode>,
    /// The consent ends within so many days: 30, 7 or 1.
    pub consent_ends_in_days: Option<u32>,
    /// Between two reports, in seconds.
    pub interval_s: u64,
    /// Whether the newest report is a preview, not yet at its place in the chain.
    pub preview: bool,
    /// The newest report, with what older ones tell of sections that it does not hold.
    pub report: Option<Report>,
    /// When those sections were taken; a section that is not named is of the newest report.
    pub older: BTreeMap<&'static str, Taken>,
    /// The intervals of sections that are taken less often than at every beat, in seconds.
    pub section_s: BTreeMap<String, u64>,
    /// Seconds of failed pushes in its newest chain.
    pub push_fail: PushFail,
    /// What its self-diagnosis says is not in order, the worst first; as it was said last, however long ago.
    pub standing: Vec<StandingRow>,
    /// How often something was found of it, among the newest findings of the fleet; nothing closes one.
    pub findings: u64,
}

/// When a section was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// By the machine's clock.
    pub taken_ms: i64,
    /// When its report was received.
    pub received_ms: i64,
}

impl MachineView {
    /// Of the newest report what still says how the machine is now: the machine is up, and the section is no older
    /// than the grace of its interval by the collector's clock, both by its receipt and by when it was taken.
    #[must_use]
    pub fn current_report(&self, at_ms: i64) -> Option<Report> {
        let newest = self.report.as_ref()?;
        let mut report = Report { class: newest.class, readings: Readings::default(), faults: Vec::new(), findings: Vec::new() };
        for section in newest.sections().into_iter().filter(|section| self.is_current(section, at_ms)) {
            report.readings.put(section, &newest.readings);
        }
        report.faults.extend(newest.faults.iter().filter(|fault| self.is_current(fault.section(), at_ms)).cloned());
        (!report.sections().is_empty()).then_some(report)
    }

    /// Whether a section still says how the machine is now.
    #[must_use]
    pub fn is_current(&self, section: &str, at_ms: i64) -> bool {
        let interval_s = self.section_s.get(section).copied().unwrap_or(self.interval_s);
        let fresh = |ms: i64| at_ms.saturating_sub(ms) <= grace_ms(interval_s);
        let taken = self.taken(section);
        let taken_ms = taken.zip(self.skew_ms).map(|(taken, skew_ms)| taken.taken_ms.saturating_sub(skew_ms));
        self.state == State::Up && taken.is_some_and(|taken| fresh(taken.received_ms)) && taken_ms.is_none_or(fresh)
    }

    /// When a section was taken.
    #[must_use]
    pub fn taken(&self, section: &str) -> Option<Taken> {
        let newest = || Some(Taken { taken_ms: self.last_taken_ms?, received_ms: self.last_received_ms? });
        self.older.get(section).copied().or_else(newest)
    }
}

/// The interval that is shown before an agent has stated its plan, in seconds.
const INTERVAL_S: u64 = 60;

/// Reads the fleet, as far as `scope` allows.
///
/// # Errors
/// When the database failed.
pub async fn load(store: &Store, scope: &Scope, collector_id: CollectorId, utc_offset_h: i64, at_ms: i64) -> Result<FleetView, StoreError> {
    let security = digest::load(store, scope, Day::of(at_ms, utc_offset_h)).await?;
    let mut findings: HashMap<AgentId, u64> = HashMap::new();
    for finding in store.findings(scope).await? {
        *findings.entry(finding.agent_id).or_default() += finding.count;
    }
    let machines = store.machines(scope).await?;
    let facilities = store.facilities(scope).await?.into_iter().map(|facility| FacilityView {
        machines: machines
            .iter()
            .filter(|machine| machine.facility == facility.alias)
            .map(|machine| machine_view(machine, findings.get(&machine.agent_id).copied().unwrap_or(0), at_ms))
            .collect(),
        alias: facility.alias.to_string(),
        name: facility.name,
        example: facility.example,
    });
    Ok(FleetView { at_ms, collector_id, version: env!("CARGO_PKG_VERSION").to_owned(), security, facilities: facilities.collect() })
}

/// The terms of the consent in force.
pub(crate) fn terms(row: &MachineRow) -> Option<ConsentTerms> {
    serde_json::from_str(row.consent.as_ref()?.terms.as_deref()?).ok()
}

/// The newest of each section: of older reports what newer ones do not tell of, as far as the consent lets it be known.
pub(crate) fn newest_of_each(row: &MachineRow, terms: Option<&ConsentTerms>) -> Option<(Report, BTreeMap<&'static str, Taken>)> {
    let read = |payload: &[u8]| serde_json::from_slice::<Report>(payload).ok();
    let mut newest = read(&row.latest.as_ref()?.payload)?;
    let mut missing: Vec<&'static str> = SECTIONS.to_vec();
    missing.retain(|section| !newest.sections().contains(section));
    let mut older = BTreeMap::new();
    for part in row.parts.iter().rev() {
        let Some(mut report) = read(&part.payload) else { continue };
        report.readings.keep(&|field: &Field| terms.is_some_and(|terms| terms.allows(field)));
        for section in report.sections() {
            if let Some(place) = missing.iter().position(|one| *one == section) {
                missing.swap_remove(place);
                newest.readings.put(section, &report.readings);
                newest.faults.extend(report.faults.iter().filter(|fault| fault.section() == section).cloned());
                older.insert(section, Taken { taken_ms: part.taken_at_ms, received_ms: part.received_at_ms });
            }
        }
    }
    Some((newest, older))
}

fn machine_view(row: &MachineRow, findings: u64, at_ms: i64) -> MachineView {
    let presence = row.presence.as_ref().and_then(memory::presence);
    let latest = row.latest.as_ref();
    let head = latest.and_then(|latest| serde_json::from_slice::<Head>(&latest.payload).ok());
    let terms = terms(row);
    let standing = standing(row, terms.as_ref());
    let (report, older) = newest_of_each(row, terms.as_ref()).map_or((None, BTreeMap::new()), |(report, older)| (Some(report), older));
    let valid_to_ms = row.consent.as_ref().and_then(|consent| consent.valid_to_ms);
    let plan = row.plan.as_ref();
    let version = report.as_ref().and_then(|report| report.readings.agent.as_ref()).and_then(|agent| agent.version.clone());
    let chain = row.chain.as_ref();
    MachineView {
        agent_id: row.agent_id,
        alias: row.alias.to_string(),
        life: match row.state {
            MachineState::Pending => Life::Pending,
            MachineState::Active => Life::Active,
            MachineState::Revoked => Life::Revoked,
            MachineState::Retired => Life::Retired,
        },
        state: presence.as_ref().map_or(State::NotKnown, |presence| presence.state),
        since_ms: presence.as_ref().map_or(row.enrolled_at_ms, |presence| presence.since_ms),
        because: presence.as_ref().map_or(Because::NeverReported, |presence| presence.because),
        fingerprint: row.key_id.fingerprint(),
        agent_version: version.map(|version| version.to_string()).unwrap_or_default(),
        last_received_ms: latest.map(|latest| latest.received_at_ms),
        last_taken_ms: latest.map(|latest| latest.taken_at_ms),
        skew_ms: skew_ms(row, presence.as_ref(), head.as_ref()),
        epoch: chain.map_or(0, |chain| u32::try_from(chain.epoch).unwrap_or(u32::MAX)),
        next_seq: chain.map_or(0, |chain| chain.next_seq),
        fork: row.fork,
        waiting_for: chain.and_then(|chain| chain.waiting).map(|waiting| (waiting.for_seq, waiting.since_ms)),
        consent: row.consent.as_ref().map(|consent| consent.state),
        consent_example: row.consent.as_ref().is_some_and(|consent| consent.example),
        consent_valid_to_ms: valid_to_ms,
        consent_mode: terms.map(|terms| terms.mode),
        consent_ends_in_days: valid_to_ms.and_then(|valid_to_ms| expiry_mark(valid_to_ms, at_ms)),
        interval_s: plan.map_or(INTERVAL_S, |plan| plan.interval_s),
        section_s: plan.map_or_else(BTreeMap::new, |plan: &Plan| plan.sections.clone()),
        older,
        preview: latest.is_some_and(|latest| latest.is_preview),
        report,
        push_fail: head.map(|head| head.push_fail_s).unwrap_or_default(),
        standing,
        findings,
    }
}

/// By the offset of the report's boot, which the line's delays hardly touch; before there is one, by its receipt.
fn skew_ms(row: &MachineRow, presence: Option<&Presence>, head: Option<&Head>) -> Option<i64> {
    let latest = row.latest.as_ref()?;
    let offset = head.and_then(|head| {
        let boot = presence?.boot.filter(|boot| boot.boot_id == head.boot_id)?;
        Some(wall::skew_ms(boot.offset_ms?, head.taken_at_ms, head.boottime_ms))
    });
    Some(offset.unwrap_or_else(|| latest.taken_at_ms.saturating_sub(latest.received_at_ms)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mimamori_shared::fields::{Cpu, Disk, Filesystem, Load, Memory, Network, Readings};
    use mimamori_shared::payload::{Class, Fault, FaultCode, Finding, Standing};

    /// 2026-11-22T05:16:44Z.
    pub(crate) const AT_MS: i64 = 1_795_324_604_000;

    pub(crate) fn report() -> Report {
        let word = |text: &str| text.parse().unwrap();
        let filesystem = |name: &str, available_bytes: i64| Filesystem {
            name: word(name),
            kind: Some(word("ext4")),
            size_bytes: Some(1000),
            available_bytes: Some(available_bytes),
            read_only: Some(0),
            ..Filesystem::default()
        };
        let readings = Readings {
            cpu: Some(Cpu { user_ms: Some(35), idle_ms: Some(105), ..Cpu::default() }),
            load: Some(Load { load1_milli: Some(1250), ..Load::default() }),
            memory: Some(Memory { total_bytes: Some(8 << 30), available_bytes: Some(2 << 30), ..Memory::default() }),
            filesystem: vec![filesystem("root", 900), filesystem("pacs", 40)],
            disk: vec![Disk { name: word("sda"), reads: Some(7), read_ms: Some(-3), ..Disk::default() }],
            network: vec![Network { name: word("eth0"), link_up: Some(1), ..Network::default() }],
            ..Readings::default()
        };
        let fault = Fault { probe: word("disk.reads"), code: FaultCode::PermissionDenied, name: Some(word("sdb")) };
        Report { class: Class::Sample, readings, faults: vec![fault.clone(), Fault { name: None, ..fault }], findings: Vec::new() }
    }

    pub(crate) fn found(check: &str, name: &str, state: Standing) -> StandingRow {
        let evidence = [("pending".parse().unwrap(), 8), ("percentage_used".parse().unwrap(), 103)].into();
        let finding = Finding { check: check.parse().unwrap(), name: name.parse().ok(), state, since_ms: AT_MS - 3_600_000, evidence };
        StandingRow { finding, epoch: 1, seq: 41, received_at_ms: AT_MS - 3_599_000 }
    }

    pub(crate) fn machine(alias: &str) -> MachineView {
        MachineView {
            agent_id: AgentId::ZERO,
            alias: alias.to_owned(),
            life: Life::Active,
            state: State::Up,
            since_ms: AT_MS - 3_600_000,
            because: Because::FirstReport,
            fingerprint: "0011-2233-4455-6677-8899-aabb-ccdd-eeff".to_owned(),
            agent_version: "0.1.0".to_owned(),
            last_received_ms: Some(AT_MS - 10_000),
            last_taken_ms: Some(AT_MS - 9_000),
            skew_ms: Some(1000),
            epoch: 1,
            next_seq: 42,
            fork: None,
            waiting_for: None,
            consent: Some(ConsentState::Granted),
            consent_example: false,
            consent_valid_to_ms: Some(AT_MS + 86_400_000),
            consent_mode: Some(ConsentMode::Continuous),
            consent_ends_in_days: Some(1),
            interval_s: 60,
            section_s: BTreeMap::new(),
            older: BTreeMap::new(),
            preview: false,
            report: Some(report()),
            push_fail: PushFail { dns: 5, ..PushFail::default() },
            standing: vec![found("drive_health", "sda", Standing::Bad), found("of_a_newer_agent", "x", Standing::Gone)],
            findings: 0,
        }
    }

    fn quiet() -> Digest {
        Digest { day: Day::of(AT_MS, 9), events: [].into(), alarms: Vec::new(), findings: [].into(), stored: (0, 0) }
    }

    pub(crate) fn fleet(machines: Vec<MachineView>) -> FleetView {
        let hospital = FacilityView { alias: "north".to_owned(), name: "北病院".to_owned(), example: false, machines };
        FleetView { at_ms: AT_MS, collector_id: CollectorId::ZERO, version: "0.1.0".to_owned(), security: quiet(), facilities: vec![hospital] }
    }

    #[test]
    fn a_report_is_current_only_while_up_and_within_the_grace() {
        let fresh = machine("ct");
        assert!(fresh.current_report(AT_MS).is_some());
        assert!(fresh.current_report(AT_MS + 140_000).is_some());
        assert!(fresh.current_report(AT_MS + 140_001).is_none());
        let silent = MachineView { state: State::NotKnown, ..fresh.clone() };
        assert!(silent.current_report(AT_MS).is_none());
        let backlog = MachineView { last_taken_ms: Some(AT_MS - 900_000), ..fresh.clone() };
        assert!(backlog.current_report(AT_MS).is_none());
        let wrong_clock = MachineView { last_taken_ms: Some(500), skew_ms: Some(500 - AT_MS), ..fresh };
        assert!(wrong_clock.current_report(AT_MS).is_some());
    }

    /// Filesystems once an hour, everything else at every beat: not due is not stale.
    #[test]
    fn a_section_is_as_current_as_its_own_interval() {
        let hour_ago = Taken { taken_ms: AT_MS - 3_600_000, received_ms: AT_MS - 3_600_000 };
        let slow =
            MachineView { section_s: BTreeMap::from([("filesystem".to_owned(), 3600)]), older: BTreeMap::from([("filesystem", hour_ago)]), ..machine("ct") };
        let shown = |view: &MachineView, at_ms: i64| view.current_report(at_ms).map(|report| (report.readings.filesystem.len(), report.readings.disk.len()));
        assert_eq!(shown(&slow, AT_MS), Some((2, 1)));
        assert_eq!(shown(&slow, AT_MS + 3_629_000), Some((2, 0)), "two hours and 30 s, by the machine's clock, which is a second ahead");
        assert_eq!(shown(&slow, AT_MS + 3_631_001), None);
        let lost = MachineView { section_s: BTreeMap::new(), ..slow };
        assert_eq!(shown(&lost, AT_MS), Some((0, 1)), "by the beat it is stale");
    }

    #[test]
    fn lives_survive_the_store() {
        assert!(Life::ALL.into_iter().all(|life| Life::from_name(life.name()) == Some(life)));
    }
}
