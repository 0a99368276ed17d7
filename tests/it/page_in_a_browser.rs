//! The page for the facility as a browser shows it: readable in both languages on a wide and on a narrow screen and on
//! paper, asking nobody for anything, and with nothing in it that runs.

use mimamori_tests::process::program;
use mimamori_tests::story::{enrolled, json, reports, stop};
use mimamori_tests::wait_until;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

/// An approver's name that tries to become more than a name.
const HOSTILE: &str = "<script>window.ran=1</script><img src=http://evil.example/a.png onerror='window.ran=1'>";
/// Puts pages into frames as wide as screens and writes down what became of them.
const LOOK: &str = r#"<!DOCTYPE html><meta charset="utf-8"><body><script>
const looks = [];
const look = ([file, width]) => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width:${width}px;height:800px;border:0`;
  frame.onload = () => setTimeout(() => {
    const page = frame.contentDocument, root = page.documentElement, inner = frame.contentWindow;
    const beyond = [...page.body.querySelectorAll('*')].filter(one => one.getBoundingClientRect().right > width + 0.5);
    looks.push({file, width, client: root.clientWidth, scroll: root.scrollWidth, beyond: beyond.length, height: root.scrollHeight,
      asked: inner.performance.getEntriesByType('resource').map(entry => entry.name), ran: inner.ran === 1,
      scripts: page.scripts.length, text: page.body.innerText, headings: page.querySelectorAll('h2').length});
    done();
  }, 300);
  frame.src = file;
  document.body.append(frame);
});
(async () => {
  for (const one of PAGES) await look(one);
  const out = document.createElement('textarea');
  out.textContent = JSON.stringify(looks);
  document.body.append(out);
})();
</script>"#;

/// Runs the browser without a line to anywhere, and with a profile of its own.
fn browser(dir: &Path, args: &[&str]) -> Output {
    let path = Path::new("/usr/bin/chromium");
    assert!(path.is_file(), "chromium is missing: `make setup` installs it");
    let mut command = program(path);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--allow-file-access-from-files"]);
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=8000", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display())).env("HOME", dir).args(args);
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done
}

/// What becomes of pages of this folder in a browser so many pixels wide, and what the browser said meanwhile.
pub(crate) fn looks(dir: &Path, pages: &[(&str, u32)]) -> (Vec<Value>, String) {
    fs::write(dir.join("look.html"), LOOK.replace("PAGES", &serde_json::to_string(pages).unwrap())).unwrap();
    let looked = browser(dir, &["--dump-dom", &format!("file://{}", dir.join("look.html").display())]);
    let (dom, log) = (String::from_utf8(looked.stdout).unwrap(), String::from_utf8_lossy(&looked.stderr).into_owned());
    let (_, out) = dom.split_once("<textarea>").unwrap_or_else(|| panic!("{dom} {log}"));
    let out = out.split("</textarea>").next().unwrap();
    let out =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", "\u{a0}"), ("&amp;", "&")].iter().fold(out.to_owned(), |out, (a, b)| out.replace(a, b));
    (json(&out).as_array().unwrap().clone(), log)
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn the_page_reads_well_on_every_screen_and_on_paper_and_asks_nobody_for_anything() {
    let (world, home) = enrolled("browser");
    let consent = fs::read_to_string(home.dir.join("consent.toml")).unwrap();
    home.consent(&consent.replace("Nobody", &HOSTILE.replace('"', "\\\"")).replace("\"Example\"", "\"遠隔保守契約の例\""));
    let running = home.run();
    wait_until("two reports", Duration::from_secs(40), || reports(&world) >= 2);
    stop(running);
    let dir = world.dir.join("browser");
    fs::create_dir(&dir).unwrap();
    let page = home.cli(&["report", "--html", "-"]);
    fs::write(dir.join("page.html"), &page).unwrap();
    // The way of looking finds what there is: the same page, wider than a narrow screen, with the name taken at its word.
    let policy = page.lines().find(|line| line.contains("Content-Security-Policy")).unwrap();
    let control =
        page.replace(policy, "").replace("</body>", &format!("{HOSTILE}<script>console.error('heard')</script><p style=\"width: 900px\">wide</p></body>"));
    fs::write(dir.join("control.html"), control).unwrap();
    let (looks, log) = looks(&dir, &[("page.html", 1280), ("page.html", 390), ("control.html", 390)]);
    let [wide, narrow, control] = looks.as_slice() else { panic!("{looks:?}") };
    for look in [wide, narrow] {
        fits(look);
    }
    let asked = control["asked"].to_string();
    assert!(asked.contains("evil.example") && control["ran"] == true && control["scripts"] == 2 && control["scroll"].as_u64() > Some(390), "{control}");
    let said = |file: &str| log.lines().filter(|line| line.contains("CONSOLE") && line.contains(file)).count();
    assert_eq!((said("page.html"), said("control.html") > 0), (0, true), "{log}");
    let text = wide["text"].as_str().unwrap();
    let pages = printed(&dir, &format!("file://{}", dir.join("page.html").display()), text);
    println!(
        "{} letters on {} px and {} px, {} px high there; {pages} pages of paper",
        letters(text).chars().count(),
        wide["client"],
        narrow["client"],
        narrow["height"]
    );
}

#[track_caller]
fn fits(look: &Value) {
    assert!(look["asked"] == json("[]") && look["ran"] == false && look["scripts"] == 0, "{look}");
    assert!(look["client"] == look["width"] && look["scroll"] == look["width"] && look["beyond"] == 0, "it does not fit: {look}");
    let text = look["text"].as_str().unwrap();
    for words in
        ["What is collected", "収集する項目", "Verified offline", "オフライン検証済み", HOSTILE, "遠隔保守契約の例", "今すぐ止める方法", "uninstall --purge"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(look["headings"], 7);
}

/// Prints the page; every letter of it must be on the paper. Gives how many sheets.
fn printed(dir: &Path, page: &str, text: &str) -> usize {
    let pdf = dir.join("page.pdf");
    browser(dir, &[&format!("--print-to-pdf={}", pdf.display()), "--no-pdf-header-footer", page]);
    let mut read = program(Path::new("/usr/bin/pdftotext"));
    let done = read.args(["-layout", "-enc", "UTF-8"]).arg(&pdf).arg("-").output().expect("pdftotext is missing: `make setup` installs it");
    let paper = String::from_utf8(done.stdout).unwrap();
    let count = |text: &str| {
        let mut counts = std::collections::BTreeMap::new();
        letters(text).chars().for_each(|letter| *counts.entry(letter).or_insert(0_usize) += 1);
        counts
    };
    let there = count(&paper);
    let lost: Vec<_> = count(text).into_iter().filter(|(letter, times)| there.get(letter).is_none_or(|there| there < times)).collect();
    assert!(lost.is_empty(), "not on paper: {lost:?}");
    paper.matches('\u{c}').count()
}
