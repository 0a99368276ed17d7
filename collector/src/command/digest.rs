//! `digest`.

use super::{Done, Failed, print, print_json};
use crate::cli::{Lang, Output, exit};
use crate::clock;
use crate::config::Config;
use crate::digest::{Day, load};
use crate::store::{Scope, Store};

pub(super) async fn show(config: &Config, store: &Store, day: Option<&str>, output: Output, lang: Lang) -> Done {
    let offset_h = config.utc_offset_h();
    let day = match day {
        None => Day::of(clock::now_ms(), offset_h),
        Some(text) => day_of("--day", text, offset_h, lang)?,
    };
    let digest = load(store, &Scope::All, day).await?;
    let now_ms = clock::now_ms();
    let began_ms = store.facilities(&Scope::All).await?.iter().map(|facility| facility.created_at_ms).min().unwrap_or(now_ms);
    let known = digest.says_something() || day.is_known(began_ms, now_ms);
    if output.json {
        let mut value = digest.json();
        if let Some(members) = value.as_object_mut() {
            members.insert("known".to_owned(), known.into());
            members.insert("nothing".to_owned(), if known { digest.is_empty().into() } else { serde_json::Value::Null });
        }
        print_json(&value);
    } else {
        print(&if known { digest.text(lang) } else { digest.unknown(lang) });
    }
    Ok(())
}

/// The day that an option names.
pub(super) fn day_of(option: &str, text: &str, offset_h: i64, lang: Lang) -> Result<Day, Failed> {
    let form = lang.of("a day is written as 2026-11-27", "日付は2026-11-27のように指定してください");
    Day::parse(text, offset_h).ok_or_else(|| Failed::said(exit::USAGE, format!("{option} {text}: {form}")))
}
