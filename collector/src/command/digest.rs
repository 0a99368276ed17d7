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
        Some(text) => Day::parse(text, offset_h).ok_or_else(|| {
            Failed::said(exit::USAGE, format!("--day {text}: {}", lang.of("a day is written as 2026-11-27", "日付は2026-11-27のように指定してください")))
        })?,
    };
    let digest = load(store, &Scope::All, day).await?;
    if output.json {
        print_json(&digest.json())
    } else {
        print(&digest.text(lang))
    }
    Ok(())
}
