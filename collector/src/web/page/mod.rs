//! Pages: plain HTML made on the server; no script, nothing from elsewhere.

pub mod fleet;
pub mod html;
pub mod machine;
mod readings;
mod words;

use super::lang::{Key, Lang};
use crate::view::FleetView;
use html::Html;
use words::moment;

/// The only style. Its hash stands in [`SECURITY_HEADERS`].
pub const CSS: &str = concat!(
    ":root{color-scheme:light dark;--fg:#1a1a1a;--bg:#fff;--dim:#555;--line:#bbb;--bad:#a40000;--good:#006100;--note:#7a4b00}",
    "@media(prefers-color-scheme:dark){:root{--fg:#d6d2cb;--bg:#121212;--dim:#a09b93;--line:#444;--bad:#ff8a80;--good:#8fd694;--note:#e6b566}}",
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:1rem;max-width:110rem}",
    "a{color:inherit}h1{font-size:1.3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}header p,.dim{color:var(--dim)}",
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}",
    "td,th{overflow-wrap:anywhere}.wide{overflow-x:auto}.wide td,.wide th{overflow-wrap:normal;min-width:5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}",
    "ul{margin:0;padding-left:1.1rem}code{overflow-wrap:anywhere}",
    ".state{font-weight:bold;white-space:nowrap}.up{color:var(--good)}.down,.bad{color:var(--bad);font-weight:bold}",
    ".not_known,.example{color:var(--note);font-weight:bold}.example{border:2px dashed;padding:0 .4rem}",
);

/// What every page is sent with.
pub const SECURITY_HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'sha256-HQ5xca87n4L8EVUE/AjFHHM92r+sbUjvs3UCO6T6cIM='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// The value of `Content-Type`.
pub const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// A whole page around `body`; `here` is its own path.
fn layout(view: &FleetView, lang: Lang, here: &str, title: &str, body: impl FnOnce(&mut Html)) -> String {
    let other = lang.of(Lang::Ja, Lang::En);
    let mut page = Html::new();
    page.raw("<!DOCTYPE html>\n").open("html", &[("lang", lang.tag())]).open("head", &[]);
    page.raw("<meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"30\"><meta name=\"viewport\" content=\"width=device-width\">");
    page.leaf("title", &[], title).raw("<style>").raw(CSS).raw("</style>").close("head").open("body", &[]).open("header", &[]);
    page.leaf("h1", &[], title).open("p", &[]);
    page.text(Key::AsOf.text(lang)).text(" ").text(&moment(view.at_ms)).raw(" · ").text(Key::Collector.text(lang)).text(" ");
    page.text(&view.version).text(" ").leaf("code", &[], &view.collector_id.to_string()).raw(" · ");
    page.leaf("a", &[("href", &format!("{here}?lang={}", other.tag())), ("lang", other.tag())], Key::OtherLanguage.text(lang));
    page.close("p").close("header").open("main", &[]);
    body(&mut page);
    page.close("main").close("body").close("html");
    page.done()
}

#[cfg(test)]
mod tests;
