//! Logical volumes: `lvs --reportformat json` or `json_std` (lvmreport(7), lvs(8) for the letters of `lv_attr`).

use crate::verdict::{self, Verdict};
use crate::{Fault, Outcome, Unreadable, text, trouble};
use serde::Serialize;
use serde_json::Value;

/// The whole report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lvs {
    /// In the report's order.
    pub volumes: Vec<Volume>,
    /// What the tool could not look at, and what could not be read.
    pub faults: Vec<Fault>,
}

/// One logical volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its group.
    pub group: Option<String>,
    /// Its name; hidden ones stand in brackets.
    pub name: String,
    /// Ten letters.
    pub attr: Option<String>,
    /// `partial`, `refresh needed`, `mismatches exist`, …; empty is `None`.
    pub health: Option<String>,
    /// Use of a thin pool, a snapshot, a cache, in thousandths of a percent.
    pub data_milli_percent: Option<i64>,
    /// Use of its metadata, in thousandths of a percent.
    pub metadata_milli_percent: Option<i64>,
    /// How much of a RAID volume is in step, in thousandths of a percent.
    pub sync_milli_percent: Option<i64>,
    /// `idle`, `recover`, `check`, …
    pub sync_action: Option<String>,
}

const SUCH_AS: &str = "{\"report\": [{\"lv\": [";
/// From here a pool counts as nearly full, in thousandths of a percent: it stops all that lives in it.
const FULL_MILLI: i64 = 90_000;
const WHOLE_MILLI: i64 = 100_000;

/// Reads the report, behind the warnings that may stand before it.
///
/// # Errors
/// When it is empty, no JSON, or a report without logical volumes.
pub fn parse(input: &str) -> Result<Lvs, Unreadable> {
    let mut lvs = Lvs::default();
    let mut rest = input;
    let mut skipped = 0;
    while let Some((line, after)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) {
        if line.trim_start().starts_with('{') {
            break;
        }
        if let Some(code) = trouble::code(line) {
            verdict::fault(&mut lvs.faults, trouble::fault(code, line));
        } else if !line.trim().is_empty() && !line.trim_start().starts_with("WARNING:") && !line.contains("annot process") {
            return Err(Unreadable::Foreign { line: skipped + 1, such_as: SUCH_AS });
        }
        (rest, skipped) = (after, skipped + 1);
    }
    if rest.trim().is_empty() {
        return if lvs.faults.is_empty() { Err(Unreadable::Empty) } else { Ok(lvs) };
    }
    // What is written behind the report is of no interest.
    let report = serde_json::Deserializer::from_str(rest).into_iter::<Value>().next().transpose()?.unwrap_or_default();
    let reports = report.get("report").and_then(Value::as_array);
    let mut any = false;
    for rows in reports.into_iter().flatten().filter_map(|report| report.get("lv")?.as_array()) {
        any = true;
        for row in rows {
            match volume(row) {
                Some(volume) => verdict::push(&mut lvs.volumes, volume, &mut lvs.faults),
                None => verdict::fault(&mut lvs.faults, trouble::fault("malformed", "a volume without a name")),
            }
        }
    }
    if any { Ok(lvs) } else { Err(Unreadable::Json { line: skipped + 1, what: "no `report` with `lv`".to_owned() }) }
}

fn volume(row: &Value) -> Option<Volume> {
    let word = |key: &str| row.get(key).and_then(Value::as_str).map(text::plain).filter(|word| !word.is_empty());
    let milli = |key: &str| match row.get(key)? {
        Value::String(word) => text::milli(word.trim()),
        Value::Number(number) => text::milli(&number.to_string()),
        _ => None,
    };
    Some(Volume {
        group: word("vg_name"),
        name: word("lv_name")?,
        attr: word("lv_attr"),
        health: word("lv_health_status"),
        data_milli_percent: milli("data_percent"),
        metadata_milli_percent: milli("metadata_percent"),
        sync_milli_percent: milli("sync_percent").or_else(|| milli("copy_percent")),
        sync_action: word("raid_sync_action"),
    })
}

impl Volume {
    fn letter(&self, at: usize) -> char {
        self.attr.as_deref().and_then(|attr| attr.chars().nth(at)).unwrap_or('-')
    }

    /// Whether something is wrong with it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        let mut verdict = Verdict::default();
        self.judge(&mut verdict);
        verdict.is_bad()
    }

    fn judge(&self, verdict: &mut Verdict) {
        let name = self.group.as_ref().map_or_else(|| self.name.clone(), |group| format!("{group}/{}", self.name));
        let state = match self.letter(4) {
            's' => Some("suspended"),
            'I' | 'S' => Some("an invalid snapshot"),
            'm' | 'M' => Some("a snapshot that could not be merged"),
            'd' => Some("without its tables"),
            'i' => Some("with an inactive table"),
            'c' | 'C' => Some("in need of a check"),
            _ => None,
        };
        let health = match self.letter(8) {
            'p' => Some("partial"),
            'r' => Some("refresh needed"),
            'm' => Some("mismatches exist"),
            'F' => Some("failed"),
            'D' => Some("out of data space"),
            'M' => Some("metadata read-only"),
            'E' => Some("error"),
            _ => None,
        };
        let health = self.health.as_deref().filter(|health| *health != "writemostly").or(health);
        for wrong in [state, health].into_iter().flatten() {
            verdict.bad(format!("{name} is {wrong}"));
        }
        if self.letter(4) == 'X' || self.letter(8) == 'X' {
            verdict.unknown(format!("{name}: its state is not known"));
        }
        // Thin pools, VDO pools and snapshots fill up; a cache is full by nature, a thin volume as its owner likes.
        if matches!(self.letter(0), 't' | 'd' | 's' | 'S') {
            for (what, milli) in [("data", self.data_milli_percent), ("metadata", self.metadata_milli_percent)] {
                if let Some(milli) = milli.filter(|milli| *milli >= FULL_MILLI) {
                    verdict.bad(format!("{name}: {what} {}.{} % full", milli / 1000, milli % 1000 / 100));
                }
            }
        }
        let checked = matches!(self.sync_action.as_deref(), Some("check" | "repair"));
        if let (true, Some(milli)) = (matches!(self.letter(0), 'r' | 'R' | 'm' | 'M'), self.sync_milli_percent.filter(|milli| *milli < WHOLE_MILLI && !checked))
        {
            let action = self.sync_action.as_deref().filter(|action| *action != "idle").unwrap_or("not in step");
            verdict.bad(format!("{name}: {action}, {}.{} %", milli / 1000, milli % 1000 / 100));
        }
        if self.attr.is_none() && self.health.is_none() {
            verdict.unknown(format!("{name}: neither lv_attr nor lv_health_status in it"));
        }
    }
}

/// How the report reads: bad when a volume lacks a part, is out of step, or a pool is nearly full.
///
/// # Errors
/// As [`parse`], unless it is a complaint of the shell's.
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let lvs = match parse(input) {
        Ok(lvs) => lvs,
        Err(unreadable) => return trouble::told(input).ok_or(unreadable),
    };
    let mut verdict = Verdict::default();
    lvs.volumes.iter().for_each(|volume| volume.judge(&mut verdict));
    let mut outcome = verdict.outcome_with(format!("{} volumes, nothing wrong", lvs.volumes.len()), lvs.faults);
    for volume in &lvs.volumes {
        let of: &[(&'static str, &str)] = &[("group", volume.group.as_deref().unwrap_or_default()), ("volume", &volume.name)];
        for (name, milli) in [
            ("volume_data_used", volume.data_milli_percent),
            ("volume_metadata_used", volume.metadata_milli_percent),
            ("volume_in_sync", volume.sync_milli_percent),
        ] {
            outcome.reading(name, of, milli.map(|milli| text::float(milli) / 1000.0), "percent");
        }
        outcome.record(volume);
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn report(attr: &str, more: &str) -> String {
        format!(r#"{{"report": [{{"lv": [{{"lv_name":"a", "vg_name":"vg", "lv_attr":"{attr}", "lv_size":"1g"{more}}}]}}], "log": []}}"#)
    }

    fn judged(input: &str) -> (Status, String) {
        let outcome = outcome(input, None).unwrap();
        (outcome.status, outcome.reason)
    }

    #[test]
    fn volumes_in_order_are_fine() {
        for (attr, more) in [
            ("-wi-ao----", ""),
            ("-wi-------", r#","lv_health_status":"", "data_percent":"", "copy_percent":"""#),
            ("twi-aotz--", r#","data_percent":"89.99","metadata_percent":"12.5""#),
            ("Vwi-aotz--", r#","data_percent":"100.00""#),
            ("Cwi---C---", r#","data_percent":99.9,"metadata_percent":null"#),
            ("rwi-aor---", r#","copy_percent":"100.00""#),
            ("rwi-aor-w-", r#","lv_health_status":"writemostly","sync_percent":100"#),
            ("rwi-aor---", r#","copy_percent":"10.00","raid_sync_action":"check""#),
        ] {
            assert_eq!(judged(&report(attr, more)).0, Status::Ok, "{attr} {more}");
        }
        assert_eq!(judged("  WARNING: Running as a non-root user.\n{\"report\":[{\"lv\":[]}]}\n  trailing").0, Status::Ok);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (attr, more, reason) in [
            ("rwi-aor-p-", "", "vg/a is partial"),
            ("rwi-aor-r-", r#","lv_health_status":"refresh needed""#, "vg/a is refresh needed"),
            ("twi-aotzD-", "", "vg/a is out of data space"),
            ("twi-cotz--", "", "vg/a is in need of a check"),
            ("swi-I-s---", "", "vg/a is an invalid snapshot"),
            ("twi-aotz--", r#","data_percent":"93.27""#, "vg/a: data 93.2 % full"),
            ("twi-aotz--", r#","data_percent":12.0,"metadata_percent":90"#, "vg/a: metadata 90.0 % full"),
            ("rwi-aor---", r#","copy_percent":"34.50""#, "vg/a: not in step, 34.5 %"),
            ("rwi-aor---", r#","sync_percent":"34.50","raid_sync_action":"recover""#, "vg/a: recover, 34.5 %"),
        ] {
            assert_eq!(judged(&report(attr, more)), (Status::Bad, reason.to_owned()), "{attr}");
        }
        assert_eq!(judged(&report("twi-XotzX-", "")).0, Status::Unknown);
        assert_eq!(judged(r#"{"report":[{"lv":[{"lv_name":"a"}]}]}"#).0, Status::Unknown);
    }

    #[test]
    fn what_the_tool_cannot_do_is_told_and_anything_else_refused() {
        for (text, code) in [
            ("  Volume group \"vg9\" not found\n  Cannot process volume group vg9\n", "not_found"),
            ("  WARNING: Running as a non-root user.\n  /run/lock/lvm/P_global:aux: open failed: Permission denied\n", "permission_denied"),
            ("bash: lvs: command not found\n", "not_found"),
        ] {
            let outcome = outcome(text, None).unwrap();
            assert_eq!((outcome.status, outcome.faults[0].code), (Status::Unknown, code), "{text}");
        }
        assert_eq!(parse(" \n"), Err(Unreadable::Empty));
        assert!(matches!(parse("  LV VG Attr\n"), Err(Unreadable::Foreign { line: 1, .. })));
        for bad in ["{\"report\":[{\"vg\":[]}]}", "{\"report\":", "{}"] {
            assert!(matches!(parse(bad), Err(Unreadable::Json { .. })), "{bad}");
        }
        assert!(matches!(parse(&"{\"report\":[".repeat(5000)), Err(Unreadable::Json { .. })));
        let nameless = outcome(r#"{"report":[{"lv":[{},{"lv_name":"a","lv_attr":"-wi-ao----"}]}]}"#, None).unwrap();
        assert_eq!((nameless.status, nameless.records.len(), nameless.faults[0].code), (Status::Ok, 1, "malformed"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(attr in "[-twirsRmXVpFDcé]{0,10}", percent in "(\"[0-9.]{0,20}\"|-?[0-9]{1,19}|null|\\[\\])", before in ".*") {
            let text = report(&attr, &format!(r#","data_percent":{percent},"copy_percent":{percent}"#));
            for text in [text.clone(), format!("{before}\n{text}")] {
                if let Ok(outcome) = outcome(&text, None) {
                    prop_assert!(!outcome.reason.is_empty());
                }
            }
        }
    }
}
