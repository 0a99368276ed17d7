//! Sections, values and checks as people read them, on pages and at the command line.

use mimamori_cli::Lang;
use mimamori_shared::checks;
use mimamori_shared::fields::{Field, Kind, Value};
use mimamori_shared::payload::{Fault, Finding};

/// What each section is about. A newer agent's sections are shown by their name.
const SECTION_WORDS: &[(&str, &str, &str)] = &[
    ("cpu", "Processor", "CPU"),
    ("load", "Load", "負荷"),
    ("memory", "Memory", "メモリ"),
    ("swap", "Swap", "スワップ"),
    ("system", "System", "システム"),
    ("clock", "Clock", "時計"),
    ("agent", "Agent", "エージェント"),
    ("pressure", "Waiting for resources", "リソース待ち"),
    ("paging", "Paging", "ページング"),
    ("kernel", "Kernel", "カーネル"),
    ("tcp", "Connections", "ネットワーク接続"),
    ("boot", "Boot", "起動"),
    ("units", "Service manager", "サービス管理"),
    ("kernel_log", "Kernel messages", "カーネルメッセージ"),
    ("machine_check", "Processor errors", "CPUのハードウェアエラー"),
    ("filesystem", "Filesystems", "ファイルシステム"),
    ("disk", "Disk traffic", "ディスク入出力"),
    ("network", "Network interfaces", "ネットワークインターフェース"),
    ("service", "Services", "サービス"),
    ("process", "Programs", "プログラム"),
    ("journal", "Patterns in the journal", "ログのパターン"),
    ("drive", "Drives", "ドライブ"),
    ("array", "RAID arrays", "RAIDアレイ"),
    ("pool", "Storage pools", "ストレージプール"),
    ("multipath", "Multipath devices", "マルチパス装置"),
    ("sensor", "Sensors", "センサー"),
    ("ecc", "Memory errors (ECC)", "メモリエラー（ECC）"),
    ("ups", "UPS", "無停電電源装置（UPS）"),
    ("power", "Power supplies", "電源ユニット"),
    ("application", "Application checks", "アプリケーション確認"),
];

/// What a section is called.
#[must_use]
pub fn section(name: &str, lang: Lang) -> &str {
    SECTION_WORDS.iter().find(|(section, _, _)| *section == name).map_or(name, |(_, en, ja)| lang.of(*en, *ja))
}

/// What a check looks after, as the sentence that holds when it is bad; an unknown one is shown by its id.
#[must_use]
pub fn check(finding: &Finding, lang: Lang) -> &str {
    let id = finding.check.as_str();
    checks::words(id).map_or(id, |words| lang.of(words.about, words.about_ja))
}

/// How it stands.
#[must_use]
pub fn standing(finding: &Finding, lang: Lang) -> &'static str {
    lang.of(finding.state.words_en(), finding.state.words_ja())
}

/// The section a finding is about, and which one of it.
#[must_use]
pub fn subject(finding: &Finding, lang: Lang) -> String {
    let section = checks::words(finding.check.as_str()).map_or("", |words| section(words.section, lang));
    let name = finding.name.as_ref().map_or("", |name| name.as_str());
    [section, name].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The numbers that say so, each with its unit.
#[must_use]
pub fn evidence(finding: &Finding, lang: Lang) -> String {
    let section = checks::words(finding.check.as_str()).map_or("", |words| words.section);
    let field = |name: &str| mimamori_shared::fields::fields().find(|field| field.section == section && field.name == name);
    let number = |(name, number): (&mimamori_shared::word::Word, &i64)| match field(name.as_str()) {
        Some(field) => format!("{name} {}", value(field, Value::Number(*number), lang)),
        None => format!("{name} {number}"),
    };
    finding.evidence.iter().map(number).collect::<Vec<_>>().join(", ")
}

/// Why something could not be read.
#[must_use]
pub fn fault(fault: &Fault, lang: Lang) -> &'static str {
    lang.of(fault.code.words_en(), fault.code.words_ja())
}

/// A value with its unit.
#[must_use]
pub fn value(field: &Field, value: Value<'_>, lang: Lang) -> String {
    let number = match value {
        Value::Number(number) => number,
        Value::Text(word) => return word.to_owned(),
    };
    match (field.kind, number) {
        (Kind::Flag, 0) => lang.of("no", "いいえ").to_owned(),
        (Kind::Flag, 1) => lang.of("yes", "はい").to_owned(),
        _ => quantity(number, field.unit, lang).unwrap_or_else(|| format!("{number} {}", field.unit)),
    }
}

/// `None` for a unit of a newer version.
fn quantity(number: i64, unit: &str, lang: Lang) -> Option<String> {
    Some(match unit {
        "1" | "0 or 1" => number.to_string(),
        "1/1000" => decimal(number, 3),
        "bytes" => bytes(number),
        "pages" => lang.of(format!("{number} pages"), format!("{number}ページ")),
        "us" if number.unsigned_abs() < 1000 => format!("{number} µs"),
        "us" if number.unsigned_abs() < 1_000_000 => format!("{} ms", decimal(number, 3)),
        "us" => duration(number / 1000, lang),
        "ms" => duration(number, lang),
        "s" => duration(number.saturating_mul(1000), lang),
        "h" => lang.of(format!("{number} h"), format!("{number}時間")),
        "ms since 1970 UTC" => lang.brief(number),
        "percent" => format!("{number} %"),
        "1/1000 percent" => format!("{} %", decimal(number, 3)),
        "celsius" => format!("{number} °C"),
        "1/1000 celsius" => format!("{} °C", decimal(number, 3)),
        "1/min" => lang.of(format!("{number} rpm"), format!("毎分{number}回転")),
        "mV" => format!("{} V", decimal(number, 3)),
        "mA" => format!("{} A", decimal(number, 3)),
        "mW" => format!("{} W", decimal(number, 3)),
        "Mbit/s" => format!("{number} Mbit/s"),
        "bits" => format!("{number:#04x}"),
        _ => return None,
    })
}

/// `number` with a point before its last `places` digits; no zeros behind the last digit that is none.
fn decimal(number: i64, places: u32) -> String {
    let (sign, size, unit) = (if number < 0 { "-" } else { "" }, number.unsigned_abs(), 10_u64.saturating_pow(places));
    let width = usize::try_from(places).unwrap_or(0);
    let text = format!("{sign}{}.{:0width$}", size / unit, size % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bytes(number: i64) -> String {
    let (sign, size) = (if number < 0 { "-" } else { "" }, u128::from(number.unsigned_abs()));
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"].into_iter().enumerate();
    let scaled = units.map(|(power, unit)| (10 * (power + 1), unit)).rfind(|(shift, _)| size >> shift > 0);
    match scaled {
        None => format!("{number} B"),
        Some((shift, unit)) => {
            let tenths = (size * 10) >> shift;
            format!("{sign}{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

/// The two largest parts; below two minutes to the millisecond.
fn duration(ms: i64, lang: Lang) -> String {
    let (sign, size) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
    let two = |(large, en, ja): (u64, &str, &str), (small, small_en, small_ja): (u64, &str, &str)| {
        lang.of(format!("{sign}{large} {en} {small} {small_en}"), format!("{sign}{large}{ja}{small}{small_ja}"))
    };
    let seconds = size / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => format!("{ms} ms"),
        1..120 => lang.of(format!("{} s", decimal(ms, 3)), format!("{}秒", decimal(ms, 3))),
        120..7200 => two((minutes, "min", "分"), (seconds % 60, "s", "秒")),
        7200..172_800 => two((hours, "h", "時間"), (minutes % 60, "min", "分")),
        _ => two((days, "d", "日"), (hours % 24, "h", "時間")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mimamori_shared::fields::{SECTIONS, fields};
    use mimamori_shared::payload::{FaultCode, Standing};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn every_section_state_and_fault_has_words_in_both_languages() {
        for name in SECTIONS {
            let (en, ja) = (section(name, Lang::En), section(name, Lang::Ja));
            assert!(en.is_ascii() && en != *name && en != ja, "{name}: {en} {ja}");
        }
        assert_eq!(section("of_a_newer_agent", Lang::Ja), "of_a_newer_agent");
        for code in FaultCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
            assert!(code.words_en().is_ascii() && code.words_en().contains(' ') && !code.words_ja().is_ascii(), "{code:?}");
        }
        for state in Standing::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
            assert!(state.words_en().is_ascii() && !state.words_ja().is_ascii(), "{state:?}");
        }
    }

    #[test]
    fn values_are_shown_with_their_units() {
        let of = |path: &str, number: i64, lang: Lang| value(fields().find(|field| field.path() == path).unwrap(), Value::Number(number), lang);
        for (path, number, en, ja) in [
            ("memory.total_bytes", 8 << 30, "8.0 GiB", "8.0 GiB"),
            ("memory.free_bytes", 1000, "1000 B", "1000 B"),
            ("disk.read_bytes", i64::MAX, "7.9 EiB", "7.9 EiB"),
            ("disk.read_ms", -35, "-35 ms", "-35 ms"),
            ("cpu.user_ms", 12_345, "12.345 s", "12.345秒"),
            ("system.uptime_ms", 1_234_567_000, "14 d 6 h", "14日6時間"),
            ("system.uptime_ms", i64::MIN, "-106751991167 d 7 h", "-106751991167日7時間"),
            ("pressure.io_some_us", 1500, "1.5 ms", "1.5 ms"),
            ("pressure.io_some_us", 7_380_000_000, "2 h 3 min", "2時間3分"),
            ("tcp.dns_us", 9, "9 µs", "9 µs"),
            ("load.load1_milli", 1250, "1.25", "1.25"),
            ("sensor.temperature_milli", -45_500, "-45.5 °C", "-45.5 °C"),
            ("sensor.temperature_milli", -5, "-0.005 °C", "-0.005 °C"),
            ("sensor.fan_rpm", 1200, "1200 rpm", "毎分1200回転"),
            ("sensor.voltage_milli", 12_000, "12 V", "12 V"),
            ("drive.temperature_celsius", 38, "38 °C", "38 °C"),
            ("drive.power_on_hours", 26_280, "26280 h", "26280時間"),
            ("drive.percentage_used", 103, "103 %", "103 %"),
            ("drive.critical_warning", 4, "0x04", "0x04"),
            ("drive.standby", 1, "yes", "はい"),
            ("drive.standby", 7, "7", "7"),
            ("array.progress_milli", 12_500, "12.5 %", "12.5 %"),
            ("ups.runtime_s", 600, "10 min 0 s", "10分0秒"),
            ("paging.swap_in_pages", 3, "3 pages", "3ページ"),
            ("system.boot_at_ms", 1_795_324_604_000, "2026-11-22T05:16:44Z", "2026-11-22T14:16:44+09:00"),
        ] {
            assert_eq!((of(path, number, Lang::En).as_str(), of(path, number, Lang::Ja).as_str()), (en, ja), "{path}");
        }
    }

    #[test]
    fn every_unit_of_a_number_is_known() {
        for field in fields().filter(|field| !matches!(field.kind, Kind::Text | Kind::Table)) {
            assert!(quantity(1, field.unit, Lang::En).is_some(), "{}: {}", field.path(), field.unit);
        }
    }

    #[test]
    fn a_finding_is_told_with_what_it_rests_on_and_an_unknown_one_by_its_id() {
        let finding = |check: &str, name: Option<&str>| Finding {
            check: check.parse().unwrap(),
            name: name.map(|name| name.parse().unwrap()),
            state: Standing::Bad,
            since_ms: 0,
            evidence: BTreeMap::from([("available_bytes".parse().unwrap(), 2048), ("of_a_newer_agent".parse().unwrap(), 7)]),
        };
        let full = finding("filesystem_full", Some("data"));
        assert_eq!((check(&full, Lang::En), subject(&full, Lang::En).as_str()), ("A filesystem is nearly full.", "Filesystems data"));
        assert_eq!((check(&full, Lang::Ja), subject(&full, Lang::Ja).as_str()), ("ファイルシステムの空きがわずかです。", "ファイルシステム data"));
        assert_eq!(evidence(&full, Lang::En), "available_bytes 2.0 KiB, of_a_newer_agent 7");
        let newer = finding("of_a_newer_agent", None);
        assert_eq!((check(&newer, Lang::Ja), subject(&newer, Lang::Ja).as_str()), ("of_a_newer_agent", ""));
    }

    proptest! {
        #[test]
        fn property_any_number_is_shown(number in any::<i64>()) {
            for field in fields() {
                for lang in [Lang::En, Lang::Ja] {
                    prop_assert!(!value(field, Value::Number(number), lang).is_empty());
                }
            }
        }
    }
}
