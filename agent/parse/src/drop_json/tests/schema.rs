//! As much of JSON Schema as the published schema uses. A word of it that is not known here fails the test.

use serde_json::Value;

const PUBLISHED: &str = include_str!("../../../../../docs/drop-1.schema.json");

pub(super) struct Schema(Value);

pub(super) fn published() -> Schema {
    Schema(serde_json::from_str(PUBLISHED).unwrap())
}

impl Schema {
    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.holds(&self.0, value)
    }

    pub(super) fn units(&self) -> Vec<String> {
        self.0["$defs"]["unit"]["enum"].as_array().unwrap().iter().map(|unit| unit.as_str().unwrap().to_owned()).collect()
    }

    fn holds(&self, schema: &Value, value: &Value) -> bool {
        schema.as_object().unwrap().iter().all(|(word, rule)| self.rule(schema, word, rule, value))
    }

    fn rule(&self, schema: &Value, word: &str, rule: &Value, value: &Value) -> bool {
        let bound = |holds: fn(f64, f64) -> bool| value.as_f64().is_none_or(|number| holds(number, rule.as_f64().unwrap()));
        match word {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => self.holds(self.0.pointer(rule.as_str().unwrap().strip_prefix('#').unwrap()).unwrap(), value),
            "anyOf" => rule.as_array().unwrap().iter().any(|one| self.holds(one, value)),
            "type" => rule.as_array().map_or_else(|| is(rule, value), |types| types.iter().any(|one| is(one, value))),
            "const" => rule == value,
            "enum" => rule.as_array().unwrap().contains(value),
            "required" => value.as_object().is_none_or(|object| rule.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))),
            "properties" => value.as_object().is_none_or(|object| object.iter().all(|(key, value)| rule.get(key).is_none_or(|one| self.holds(one, value)))),
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                value.as_object().is_none_or(|object| object.keys().all(|key| schema["properties"].get(key).is_some()))
            }
            "items" => value.as_array().is_none_or(|list| list.iter().all(|one| self.holds(rule, one))),
            "maxItems" => value.as_array().is_none_or(|list| list.len() as u64 <= rule.as_u64().unwrap()),
            "minimum" => bound(|number, least| number >= least),
            "maximum" => bound(|number, most| number <= most),
            "exclusiveMinimum" => bound(|number, least| number > least),
            "format" => {
                assert_eq!(rule, "date-time");
                value.as_str().is_none_or(|text| mimamori_shared::time::parse(text).is_ok())
            }
            "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
            other => panic!("`{other}` is not known here"),
        }
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "null" => value.is_null(),
        other => panic!("`{other}` is not known here"),
    }
}

/// A regular expression of those that the schema uses: classes, groups of choices, counts and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let inner = pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    ends(inner, text).contains(&"")
}

/// What may be left of a text behind a pattern.
fn ends<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    let mut left = vec![text];
    let mut rest = pattern;
    while !rest.is_empty() {
        let (item, behind) = item(rest);
        let (least, most, behind) = count(behind);
        rest = behind;
        let mut reached: Vec<&str> = if least == 0 { left.clone() } else { Vec::new() };
        for times in 1..=most {
            left = left.iter().flat_map(|text| one(item, text)).collect();
            if times >= least {
                reached.extend(&left);
            }
        }
        left = reached;
    }
    left
}

/// The first item: a class in brackets, a group in parentheses, or a letter.
fn item(pattern: &str) -> (&str, &str) {
    let mut depth = 0;
    let close = |open: char| if open == '[' { ']' } else { ')' };
    let first = pattern.chars().next().unwrap();
    if !['[', '('].contains(&first) {
        return pattern.split_at(first.len_utf8());
    }
    for (at, letter) in pattern.char_indices() {
        depth += i32::from(letter == first) - i32::from(letter == close(first));
        if depth == 0 {
            return pattern.split_at(at + 1);
        }
    }
    panic!("{pattern} is not closed")
}

/// `{n}`, `{n,m}`, `?`.
fn count(pattern: &str) -> (usize, usize, &str) {
    if let Some(behind) = pattern.strip_prefix('?') {
        return (0, 1, behind);
    }
    let Some((inner, behind)) = pattern.strip_prefix('{').and_then(|rest| rest.split_once('}')) else { return (1, 1, pattern) };
    let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
    (least.parse().unwrap(), most.parse().unwrap(), behind)
}

fn one<'a>(item: &str, text: &'a str) -> Vec<&'a str> {
    if let Some(group) = item.strip_prefix('(').and_then(|item| item.strip_suffix(')')) {
        return group.split('|').flat_map(|choice| ends(choice, text)).collect();
    }
    let class: Vec<char> = item.strip_prefix('[').and_then(|item| item.strip_suffix(']')).unwrap_or(item).chars().collect();
    let Some(letter) = text.chars().next() else { return Vec::new() };
    let ranged = class.windows(3).any(|three| three[1] == '-' && (three[0]..=three[2]).contains(&letter));
    // A dash between two letters is a range, and else itself.
    let alone = class.iter().enumerate().any(|(at, c)| *c == letter && (letter != '-' || at == 0 || at + 1 == class.len()));
    if ranged || alone { vec![&text[letter.len_utf8()..]] } else { Vec::new() }
}
