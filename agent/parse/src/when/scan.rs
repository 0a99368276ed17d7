//! A moment out of a text, whatever its language: numbers, what stands between them, and a few words.

use super::{HOUR_MS, Order, When};
use crate::text;

/// Longest text that can hold a moment, in characters.
const TEXT_MAX: usize = 160;
const MINUTE_MS: i64 = 60_000;
/// Years of the era Reiwa begin after this one.
const REIWA: i64 = 2018;

/// A piece of the text; spaces are none.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// A number, and how many digits it has.
    Number(i64, usize),
    Word(String),
    Mark(char),
}

use Piece::{Mark, Number, Word};

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut letters = text.chars().take(TEXT_MAX).filter(|c| !matches!(c, '\u{200e}' | '\u{200f}')).peekable();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_digit() {
            let mut digits = letter.to_string();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            // A number that does not fit is no part of a date.
            pieces.push(Number(text::whole(&digits).unwrap_or(i64::MAX), digits.len()));
        } else if letter.is_alphabetic() {
            let mut word = letter.to_string();
            while let Some(more) = letters.next_if(|c| c.is_alphabetic()) {
                word.push(more);
            }
            pieces.push(Word(word));
        } else if !letter.is_whitespace() {
            pieces.push(Mark(letter));
        }
    }
    pieces
}

pub(super) fn read(text: &str, order: Order) -> Option<When> {
    let text = text.trim();
    if let Some(ticks) = text.split_once("Date(").map(|(_, ticks)| ticks) {
        let sign = if ticks.starts_with('-') { -1 } else { 1 };
        let digits = ticks.trim_start_matches('-');
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        return When::utc(sign * text::whole(digits.get(..end).filter(|digits| !digits.is_empty())?)?);
    }
    let mut pieces = pieces(text);
    if let [Number(stamp, 14), Mark('.'), Number(_, 6), Mark(sign @ ('+' | '-')), Number(minutes, 3), ..] = pieces.as_slice() {
        let clock = (stamp / 10_000 % 100) * HOUR_MS + (stamp / 100 % 100) * MINUTE_MS + stamp % 100 * 1000;
        let offset = minutes * MINUTE_MS * if *sign == '-' { -1 } else { 1 };
        return When::new(stamp / 10_000_000_000, stamp / 100_000_000 % 100, stamp / 1_000_000 % 100, Some(clock), Some(offset));
    }
    let clock = take_clock(&mut pieces);
    let (year, month, day) = date(&pieces, order)?;
    // A time of day that is none makes nonsense of the whole.
    let (clock_ms, offset_ms) = clock.map_or(Some((None, None)), |(clock, offset)| (clock >= 0).then_some((Some(clock), offset)))?;
    When::new(year, month, day, clock_ms, offset_ms)
}

/// Which number of a date with `/` is the day, where it can be told from the date alone.
pub(super) fn order(text: &str) -> Option<Order> {
    let mut pieces = pieces(text);
    take_clock(&mut pieces);
    pieces.windows(5).find_map(|five| match five {
        [Number(13..=31, 1 | 2), Mark('/'), Number(1..=12, _), Mark('/'), Number(..)] => Some(Order::DayFirst),
        [Number(1..=12, 1 | 2), Mark('/'), Number(13..=31, _), Mark('/'), Number(..)] => Some(Order::MonthFirst),
        [Number(_, 1), Mark('/'), Number(1..=9, 2), Mark('/'), Number(..)] => Some(Order::DayFirst),
        _ => None,
    })
}

/// Takes the time of day out: in milliseconds since midnight (negative when there is no such time), and its offset from UTC.
fn take_clock(pieces: &mut Vec<Piece>) -> Option<(i64, Option<i64>)> {
    let at = pieces.windows(3).position(|three| match three {
        [Number(..), Mark(':'), Number(..)] => true,
        [Number(..), Word(hour), Number(..)] => hour == "時" || hour == "시",
        _ => false,
    })?;
    let number = |at: usize| if let Some(Number(number, _)) = pieces.get(at) { Some(*number) } else { None };
    let (hour, minute) = (number(at)?, number(at + 2)?);
    let mut end = at + 3;
    let mut second = 0;
    if pieces.get(end) == Some(&Mark(':')) || matches!(pieces.get(end), Some(Word(word)) if word == "分" || word == "분") {
        end += 1;
        if let Some(seconds) = number(end) {
            second = seconds;
            end += 1;
            end += usize::from(matches!(pieces.get(end), Some(Word(word)) if word == "秒" || word == "초"));
        }
    }
    if matches!((pieces.get(end), pieces.get(end + 1)), (Some(Mark('.' | ',')), Some(Number(..)))) {
        end += 2;
    }
    let (half, start, after) = half_day(pieces, at, end);
    let (zone, after) = zone(pieces, after);
    let hour = match half {
        None => hour,
        Some(_) if !(0..=12).contains(&hour) => hour,
        Some(afternoon) => hour % 12 + if afternoon { 12 } else { 0 },
    };
    let there_is = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..=60).contains(&second);
    let clock = hour.saturating_mul(HOUR_MS).saturating_add(minute.saturating_mul(MINUTE_MS)).saturating_add(second.min(59).saturating_mul(1000));
    pieces.drain(start..after.min(pieces.len()));
    Some((if there_is { clock } else { -1 }, zone))
}

/// Whether a word behind the time, or an Asian one before it, says which half of the day it is; and where both end.
fn half_day(pieces: &[Piece], start: usize, end: usize) -> (Option<bool>, usize, usize) {
    if let Some(Word(word)) = start.checked_sub(1).and_then(|before| pieces.get(before)) {
        let half = match word.as_str() {
            "午前" | "오전" | "上午" => Some(false),
            "午後" | "오후" | "下午" => Some(true),
            _ => None,
        };
        if half.is_some() {
            return (half, start - 1, end);
        }
    }
    match (pieces.get(end), pieces.get(end + 1), pieces.get(end + 2), pieces.get(end + 3)) {
        (Some(Word(half)), Some(Mark('.')), Some(Word(m)), Some(Mark('.'))) if m.eq_ignore_ascii_case("m") && half.len() == 1 => {
            (Some(half.eq_ignore_ascii_case("p")), start, end + 4)
        }
        (Some(Word(word)), ..) if word.eq_ignore_ascii_case("am") => (Some(false), start, end + 1),
        (Some(Word(word)), ..) if word.eq_ignore_ascii_case("pm") => (Some(true), start, end + 1),
        _ => (None, start, end),
    }
}

/// The offset from UTC behind a time of day, and where it ends. Of the names of zones only those that mean one offset count.
fn zone(pieces: &[Piece], at: usize) -> (Option<i64>, usize) {
    let sign = match pieces.get(at) {
        Some(Word(word)) => match word.as_str() {
            "Z" | "UTC" | "GMT" => return (Some(0), at + 1),
            "JST" => return (Some(9 * HOUR_MS), at + 1),
            _ => return (None, at),
        },
        Some(Mark('+')) => 1,
        Some(Mark('-')) => -1,
        _ => return (None, at),
    };
    let (minutes, end) = match (pieces.get(at + 1), pieces.get(at + 2), pieces.get(at + 3)) {
        (Some(Number(hours, 2)), Some(Mark(':')), Some(Number(minutes, 2))) => (hours * 60 + minutes, at + 4),
        (Some(Number(both, 4)), ..) => (both / 100 * 60 + both % 100, at + 2),
        (Some(Number(hours, 2)), ..) => (hours * 60, at + 2),
        _ => return (None, at),
    };
    if minutes <= 15 * 60 { (Some(sign * minutes * MINUTE_MS), end) } else { (None, at) }
}

fn date(pieces: &[Piece], order: Order) -> Option<(i64, i64, i64)> {
    if let Some(named) = by_name(pieces) {
        return Some(named);
    }
    pieces
        .windows(5)
        .find_map(|five| match five {
            // 2022年7月7日, 2022년 7월 7일; 令和4年 counts from its own beginning.
            [Number(year, digits), Word(y), Number(month, _), Word(m), Number(day, _)]
                if ["年", "년"].contains(&y.as_str()) && ["月", "월"].contains(&m.as_str()) =>
            {
                let reiwa = *digits <= 2 && pieces.iter().any(|piece| matches!(piece, Word(word) if word == "令和"));
                Some((if reiwa { REIWA + year } else { *year }, *month, *day))
            }
            [Number(first, digits), Mark(mark @ ('/' | '-' | '.')), Number(second, 1 | 2), Mark(again), Number(third, last)] if mark == again => {
                by_number((*first, *digits), *second, (*third, *last), *mark, order)
            }
            _ => None,
        })
        .or_else(|| match pieces {
            // 20220707, alone or before what is no date.
            [Number(day, 8), ..] => Some((day / 10_000, day / 100 % 100, day % 100)),
            _ => None,
        })
}

fn by_number(first: (i64, usize), second: i64, third: (i64, usize), mark: char, order: Order) -> Option<(i64, i64, i64)> {
    let year = match (first.1, third.1) {
        (4, 1 | 2) => return Some((first.0, second, third.0)),
        (1 | 2, 4) => third.0,
        (1 | 2, 2) => 2000 + third.0,
        _ => return None,
    };
    let day_first = match (mark, first.0, second) {
        ('-' | '.', ..) | (_, 13.., _) => true,
        (_, _, 13..) => false,
        // It is the same day both ways.
        (_, first, second) if first == second => true,
        _ => match order {
            Order::DayFirst => true,
            Order::MonthFirst => false,
            Order::Unknown => return None,
        },
    };
    Some(if day_first { (year, second, first.0) } else { (year, first.0, second) })
}

/// Names of months in English and, where they differ, in German; what begins one of them with three letters or more is it.
const MONTHS: &[(&str, i64)] = &[
    ("january", 1),
    ("januar", 1),
    ("february", 2),
    ("februar", 2),
    ("march", 3),
    ("märz", 3),
    ("april", 4),
    ("may", 5),
    ("mai", 5),
    ("june", 6),
    ("juni", 6),
    ("july", 7),
    ("juli", 7),
    ("august", 8),
    ("september", 9),
    ("october", 10),
    ("oktober", 10),
    ("november", 11),
    ("december", 12),
    ("dezember", 12),
];
/// Other words of an English date. `mar` is a Tuesday in other languages: beside words of those it is no month.
const ENGLISH: &[&str] =
    &["mon", "tue", "wed", "thu", "fri", "sat", "sun", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "at", "on", "ago"];

/// A date with the name of its month: of the other numbers the long one is the year and the short one the day.
fn by_name(pieces: &[Piece]) -> Option<(i64, i64, i64)> {
    let words: Vec<String> = pieces.iter().filter_map(|piece| if let Word(word) = piece { Some(word.to_lowercase()) } else { None }).collect();
    let (name, month) = words.iter().find_map(|word| Some((word, month(word)?)))?;
    let foreign = |word: &String| word.chars().count() > 1 && word != name && !ENGLISH.contains(&word.as_str()) && !is_zone(pieces, word);
    if name == "mar" && words.iter().any(foreign) {
        return None;
    }
    let number =
        |fits: fn(usize) -> bool| pieces.iter().find_map(|piece| if let Number(number, digits) = piece { fits(*digits).then_some(*number) } else { None });
    Some((number(|digits| digits == 4)?, month, number(|digits| digits <= 2)?))
}

fn month(word: &str) -> Option<i64> {
    MONTHS.iter().find(|(name, _)| word.chars().count() >= 3 && name.starts_with(word)).map(|(_, month)| *month)
}

/// Names of zones are written in capitals.
fn is_zone(pieces: &[Piece], word: &str) -> bool {
    pieces.iter().any(|piece| matches!(piece, Word(written) if written.to_lowercase() == word && written.chars().all(char::is_uppercase)))
}
