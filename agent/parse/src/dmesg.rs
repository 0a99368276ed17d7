//! Messages of the kernel, counted by class: `dmesg` in all its forms of time, with or without levels, as JSON, or what
//! syslog made of it. No message's text is kept: names of disks, programs and files stand in them.

use crate::verdict::Verdict;
use crate::{Outcome, Unreadable, complaint, text};
use serde::Serialize;
use std::collections::BTreeMap;

mod class;
mod line;

pub use class::Class;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// Lines that are messages, of the kernel or not.
    pub messages: i64,
    /// Lines of each class; every class is there.
    pub counts: BTreeMap<Class, i64>,
}

const SUCH_AS: &str = "[    1.234567] sd 0:0:0:0: [sda] Attached SCSI disk";

/// An interface that came up so long after the boot, in seconds, does not come up for the first time.
const BOOT_S: f64 = 300.0;
/// Interfaces whose link is followed; of more, no flap is counted.
const INTERFACES_MAX: usize = 256;

/// Reads the output.
///
/// # Errors
/// When it is empty or does not look like the kernel's messages.
pub fn parse(input: &str) -> Result<Messages, Unreadable> {
    let first = input.lines().position(|line| !line.trim().is_empty()).ok_or(Unreadable::Empty)?;
    let foreign = Unreadable::Foreign { line: first + 1, such_as: SUCH_AS };
    let mut counter = Counter::default();
    if input.trim_start().starts_with('{') {
        let json: serde_json::Value = serde_json::from_str(input)?;
        for message in json.get("dmesg").and_then(serde_json::Value::as_array).ok_or(foreign)? {
            let field = |name: &str| message.get(name);
            let program = field("fac").and_then(serde_json::Value::as_str).is_some_and(|facility| facility != "kern")
                || field("pri").and_then(serde_json::Value::as_i64).is_some_and(|priority| priority > 7);
            let text = field("msg").and_then(serde_json::Value::as_str).unwrap_or_default();
            counter.count(&line::Line { text, stamped: true, program, uptime_s: field("time").and_then(serde_json::Value::as_f64) });
        }
        return Ok(counter.done());
    }
    for line in input.lines().filter(|line| !line.trim().is_empty()) {
        counter.count(&line::read(line));
    }
    // Without times (`dmesg -t`) only what is known tells that these are the kernel's.
    if counter.stamped * 2 < counter.messages.messages && counter.messages.counts.is_empty() {
        return Err(foreign);
    }
    Ok(counter.done())
}

#[derive(Default)]
struct Counter<'a> {
    messages: Messages,
    stamped: i64,
    /// Whether an interface was seen up.
    up: BTreeMap<&'a str, bool>,
    oom: [i64; 3],
}

impl<'a> Counter<'a> {
    fn count(&mut self, line: &line::Line<'a>) {
        self.messages.messages += 1;
        self.stamped += i64::from(line.stamped);
        if line.program {
            return;
        }
        if let Some((interface, up)) = class::link(line.text) {
            self.link(interface, up, line.uptime_s);
        } else if let Some(step) = class::oom(line.text) {
            // One event prints several of these lines, not the same ones on all versions.
            if let Some(count) = self.oom.get_mut(step) {
                *count += 1;
            }
            let events = self.oom.iter().max().copied().unwrap_or_default();
            self.messages.counts.insert(Class::Oom, events);
        } else if let Some(class) = class::of(line.text) {
            *self.messages.counts.entry(class).or_default() += 1;
        }
    }

    /// A link is down until it first comes up: only what went down after that has flapped.
    fn link(&mut self, interface: &'a str, up: bool, uptime_s: Option<f64>) {
        let was_up = self.up.get(interface).copied();
        if was_up.is_none() && self.up.len() >= INTERFACES_MAX {
            return;
        }
        if !up && (was_up == Some(true) || (was_up.is_none() && uptime_s.is_some_and(|at| at > BOOT_S))) {
            *self.messages.counts.entry(Class::LinkFlap).or_default() += 1;
        }
        self.up.insert(interface, up);
    }

    fn done(mut self) -> Messages {
        for class in Class::ALL {
            self.messages.counts.entry(class).or_default();
        }
        self.messages
    }
}

/// The class of one message, for those who count them one by one as they come. An event that prints several lines is
/// counted by its last one; of a link it cannot be told whether it was up before, so each going down counts.
#[must_use]
pub fn class_of(message: &str) -> Option<&'static str> {
    if let Some((_, up)) = class::link(message) {
        return (!up).then_some(Class::LinkFlap.word());
    }
    match class::oom(message) {
        Some(2) => Some(Class::Oom.word()),
        Some(_) => None,
        None => class::of(message).map(Class::word),
    }
}

/// How the output reads for a human or a script.
///
/// # Errors
/// As [`parse`].
pub fn outcome(input: &str, _at_ms: Option<i64>) -> Result<Outcome, Unreadable> {
    let messages = match parse(input) {
        Ok(messages) => messages,
        Err(Unreadable::Empty) => return Err(Unreadable::Empty),
        Err(error) => return complaint::find(input, &["dmesg"], &[]).map(|(code, line)| Outcome::cannot(code, line)).ok_or(error),
    };
    let mut verdict = Verdict::default();
    for (class, count) in messages.counts.iter().filter(|(_, count)| **count > 0) {
        let said = format!("{}: {count}", class.word().replace('_', " "));
        if *count >= class.bad_from() { verdict.bad(said) } else { verdict.note(said) }
    }
    let mut outcome = verdict.outcome(format!("{} messages, none bad", messages.messages));
    for (class, count) in &messages.counts {
        outcome.reading("kernel_messages", &[("class", class.word())], Some(text::float(*count)), "count");
    }
    outcome.record(&messages);
    Ok(outcome)
}

#[cfg(test)]
mod tests;
