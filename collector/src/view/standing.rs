//! What of a machine is not in order, as its self-diagnosis said last.

use crate::store::{MachineRow, STANDING_MAX, StandingRow};
use mimamori_shared::checks;
use mimamori_shared::consent::ConsentTerms;
use mimamori_shared::fields::fields;
use mimamori_shared::payload::{Finding, Report, Standing};
use mimamori_shared::word::Word;
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Subject<'a> = (&'a Word, Option<&'a Word>);

/// The worst first: what is kept, below what a preview says that is ahead of it. What the consent no longer lets be known
/// is left out: the machine does not look after it any more.
#[must_use]
pub fn standing(row: &MachineRow, terms: Option<&ConsentTerms>) -> Vec<StandingRow> {
    let preview = ahead(row);
    let mut all: BTreeMap<Subject<'_>, &StandingRow> = row.standing.iter().chain(&preview).map(|one| (subject(&one.finding), one)).collect();
    all.retain(|_, one| one.finding.state != Standing::Ok && terms.is_some_and(|terms| may_be_known(&one.finding, terms)));
    let mut standing: Vec<StandingRow> = all.into_values().cloned().collect();
    // Stable: within a state by check and name.
    standing.sort_by_key(|one| Reverse(one.finding.state));
    standing.truncate(usize::try_from(STANDING_MAX).unwrap_or(usize::MAX));
    standing
}

fn subject(finding: &Finding) -> Subject<'_> {
    (&finding.check, finding.name.as_ref())
}

fn may_be_known(finding: &Finding, terms: &ConsentTerms) -> bool {
    let Some(words) = checks::words(finding.check.as_str()) else { return true };
    let mut rows = fields().filter(|field| field.section == words.section).peekable();
    rows.peek().is_none() || rows.any(|field| terms.allows(field))
}

/// What the newest report found, as long as it is not at its place in the chain.
fn ahead(row: &MachineRow) -> Vec<StandingRow> {
    let Some((latest, chain)) = row.latest.as_ref().zip(row.chain.as_ref()) else { return Vec::new() };
    if !latest.is_preview || latest.chain_id != chain.chain_id || latest.seq < chain.next_seq {
        return Vec::new();
    }
    let findings = serde_json::from_slice::<Report>(&latest.payload).map(|report| report.findings).unwrap_or_default();
    let row = |finding| StandingRow { finding, epoch: chain.epoch, seq: latest.seq, received_at_ms: latest.received_at_ms };
    findings.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ChainReason, ChainRow, LatestRow, MachineState};
    use mimamori_shared::consent::{ConsentMode, ScopeTerms};
    use mimamori_shared::fields::{Readings, Scope};
    use mimamori_shared::id::{AgentId, ChainId, Hash, KeyId};
    use mimamori_shared::payload::Class;

    fn found(check: &str, name: Option<&str>, state: Standing, since_ms: i64) -> Finding {
        let name = name.map(|name| name.parse().unwrap());
        Finding { check: check.parse().unwrap(), name, state, since_ms, evidence: BTreeMap::new() }
    }

    fn row(kept: Vec<Finding>, ahead: Vec<Finding>, seq: u64, is_preview: bool) -> MachineRow {
        let report = Report { class: Class::Change, readings: Readings::default(), faults: Vec::new(), findings: ahead };
        let chain_id = ChainId([1; 16]);
        MachineRow {
            agent_id: AgentId::ZERO,
            facility: "north".parse().unwrap(),
            alias: "ct".parse().unwrap(),
            state: MachineState::Active,
            key_id: KeyId::ZERO,
            enrolled_at_ms: 0,
            approved_at_ms: None,
            chains_approved_at_ms: None,
            ended_at_ms: None,
            replaces: None,
            consent: None,
            plan: None,
            chain: Some(ChainRow {
                chain_id,
                epoch: 1,
                reason: ChainReason::Enrolled,
                opened_at_ms: 0,
                forked: false,
                next_seq: 5,
                head: Hash::ZERO,
                branches: 1,
                waiting: None,
            }),
            fork: None,
            latest: Some(LatestRow { chain_id, seq, taken_at_ms: 0, received_at_ms: 9, is_preview, payload: serde_json::to_vec(&report).unwrap() }),
            parts: Vec::new(),
            presence: None,
            standing: kept.into_iter().map(|finding| StandingRow { finding, epoch: 1, seq: 1, received_at_ms: 1 }).collect(),
        }
    }

    fn terms(scopes: &[Scope]) -> ConsentTerms {
        let given = ScopeTerms { every_s: 60, except: Vec::new(), include: Vec::new() };
        ConsentTerms {
            v: 1,
            valid_from_ms: 0,
            valid_to_ms: i64::MAX,
            mode: ConsentMode::Continuous,
            utc_offset_s: 0,
            windows: Vec::new(),
            quiet: Vec::new(),
            scopes: scopes.iter().map(|scope| (*scope, given.clone())).collect(),
            approval_hash: Hash::ZERO,
            example: false,
        }
    }

    fn shown(row: &MachineRow, scopes: &[Scope]) -> Vec<String> {
        let name = |one: &Finding| one.name.as_ref().map_or("-".to_owned(), ToString::to_string);
        standing(row, Some(&terms(scopes))).iter().map(|row| &row.finding).map(|one| format!("{} {} {}", one.check, name(one), one.state.name())).collect()
    }

    #[test]
    fn a_preview_is_shown_over_what_is_kept_until_the_chain_has_come_that_far() {
        let kept = || vec![found("drive_health", Some("sda"), Standing::Bad, 1), found("drive_health", Some("sdb"), Standing::Gone, 2)];
        let ahead = || vec![found("drive_health", Some("sda"), Standing::Ok, 3), found("of_a_newer_agent", None, Standing::Bad, 4)];
        let all = [Scope::Hardware];
        assert_eq!(shown(&row(kept(), ahead(), 5, true), &all), ["of_a_newer_agent - bad", "drive_health sdb gone"]);
        for past in [row(kept(), ahead(), 4, true), row(kept(), ahead(), 5, false)] {
            assert_eq!(shown(&past, &all), ["drive_health sda bad", "drive_health sdb gone"]);
        }
    }

    #[test]
    fn what_the_consent_no_longer_names_is_not_shown() {
        let kept = vec![found("drive_health", Some("sda"), Standing::Bad, 1), found("units_failed", None, Standing::Bad, 2)];
        let row = row(kept, Vec::new(), 1, false);
        assert_eq!(shown(&row, &[Scope::OsState]), ["units_failed - bad"]);
        assert_eq!(standing(&row, None), []);
    }
}
