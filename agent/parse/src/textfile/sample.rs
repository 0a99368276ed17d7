//! One line of a sample, in either format.

/// A sample as it is written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) name: String,
    /// In the file's order; a name stands once.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: f64,
    /// In the format's unit: seconds in OpenMetrics, milliseconds in Prometheus' text.
    pub(super) timestamp: Option<f64>,
    pub(super) exemplar: bool,
}

impl Sample {
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    /// What tells it apart: its labels without one of them, in their order.
    pub(super) fn key(&self, without: Option<&str>) -> String {
        let mut labels: Vec<&(String, String)> = self.labels.iter().filter(|(name, _)| Some(name.as_str()) != without).collect();
        labels.sort();
        labels.iter().map(|(name, value)| format!("{name}={value:?},")).collect()
    }
}

/// Labels of one sample, and characters in those of an exemplar.
const LABELS_MAX: usize = 64;
const EXEMPLAR_MAX: usize = 128;

pub(super) type Broken = &'static str;

/// A name of a metric, or of a label, which has no colon.
pub(super) fn is_name(text: &str, colon: bool) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colon && byte == b':');
    !text.is_empty() && text.bytes().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A decimal number, `NaN` or infinity.
pub(super) fn number(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || [b'+', b'-', b'.'].contains(&byte));
    text.parse().ok().filter(|_| plain)
}

struct Cursor<'a> {
    rest: &'a str,
    /// OpenMetrics: a single space where one belongs, and none elsewhere.
    strict: bool,
}

impl<'a> Cursor<'a> {
    fn blanks(&mut self) {
        if !self.strict {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
        }
    }

    fn take(&mut self, mark: char) -> bool {
        let rest = self.rest.strip_prefix(mark);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn word(&mut self, ends: &[char]) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// The gap before the next part.
    fn gap(&mut self) -> bool {
        if self.strict {
            return self.take(' ') && !self.rest.starts_with(' ');
        }
        let before = self.rest.len();
        self.blanks();
        self.rest.len() < before
    }

    fn number(&mut self) -> Option<f64> {
        number(self.word(&[' ', '\t']))
    }

    /// What follows `{`, up to `}`.
    fn labels(&mut self) -> Result<Vec<(String, String)>, Broken> {
        let mut labels: Vec<(String, String)> = Vec::new();
        self.blanks();
        if self.take('}') {
            return Ok(labels);
        }
        loop {
            self.blanks();
            let name = self.word(&['=', ' ', '\t', '}', ',', '"']);
            self.blanks();
            if !is_name(name, false) || !self.take('=') {
                return Err("a label is NAME=\"VALUE\"");
            }
            self.blanks();
            if !self.take('"') {
                return Err("a label's value stands in double quotes");
            }
            let value = self.quoted()?;
            if labels.iter().any(|(known, _)| known == name) {
                return Err("a label stands twice");
            }
            if labels.len() >= LABELS_MAX {
                return Err("too many labels");
            }
            labels.push((name.to_owned(), value));
            self.blanks();
            let more = self.take(',');
            self.blanks();
            // Prometheus' text allows a comma behind the last one.
            if (!more || !self.strict) && self.take('}') {
                return Ok(labels);
            }
            if !more {
                return Err("labels are parted by commas and end with }");
            }
        }
    }

    /// What follows an opening quote, up to the closing one.
    fn quoted(&mut self) -> Result<String, Broken> {
        let mut value = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                    Some((_, other)) if self.strict => value.extend(['\\', other]),
                    _ => return Err("an escape is \\\\, \\\" or \\n"),
                },
                letter => value.push(letter),
            }
        }
        Err("a quote is not closed")
    }
}

/// Reads a line of OpenMetrics (`strict`) or of Prometheus' text.
pub(super) fn read(line: &str, strict: bool) -> Result<Sample, Broken> {
    let mut cursor = Cursor { rest: line, strict };
    cursor.blanks();
    let name = cursor.word(&['{', ' ', '\t']);
    if !is_name(name, true) {
        return Err("a sample begins with the name of a metric");
    }
    let mut sample = Sample { name: name.to_owned(), ..Sample::default() };
    let apart = if strict { false } else { cursor.gap() };
    if cursor.take('{') {
        sample.labels = cursor.labels()?;
        if strict && !cursor.gap() {
            return Err("a single space stands before a value");
        }
        cursor.blanks();
    } else if !apart && !cursor.gap() {
        return Err("a value belongs behind the name");
    }
    sample.value = cursor.number().ok_or("a value is a decimal number, NaN, +Inf or -Inf")?;
    end(&mut cursor, &mut sample)?;
    Ok(sample)
}

/// What may follow a value: a moment, and an exemplar.
fn end(cursor: &mut Cursor, sample: &mut Sample) -> Result<(), Broken> {
    if !cursor.strict {
        cursor.blanks();
        if !cursor.rest.is_empty() {
            let word = cursor.word(&[' ', '\t']);
            let whole = word.parse::<i64>().ok().and(number(word));
            sample.timestamp = Some(whole.ok_or("a moment is in whole milliseconds")?);
            cursor.blanks();
        }
        return if cursor.rest.is_empty() { Ok(()) } else { Err("nothing belongs behind a moment") };
    }
    if cursor.rest.is_empty() {
        return Ok(());
    }
    if !cursor.gap() {
        return Err("a single space parts the fields");
    }
    if !cursor.rest.starts_with('#') {
        sample.timestamp = Some(cursor.number().filter(|seconds| seconds.is_finite()).ok_or("a moment is in seconds")?);
        if cursor.rest.is_empty() {
            return Ok(());
        }
        if !cursor.gap() {
            return Err("a single space parts the fields");
        }
    }
    exemplar(cursor)?;
    sample.exemplar = true;
    Ok(())
}

/// `# {trace="a"} 0.5 [123]`
fn exemplar(cursor: &mut Cursor) -> Result<(), Broken> {
    let form = "an exemplar is # {LABELS} VALUE, and a moment in seconds where it has one";
    if !(cursor.take('#') && cursor.gap() && cursor.take('{')) {
        return Err(form);
    }
    let labels = cursor.labels()?;
    if labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum::<usize>() > EXEMPLAR_MAX {
        return Err("the labels of an exemplar are longer than 128 characters");
    }
    if !cursor.gap() || cursor.number().is_none() {
        return Err(form);
    }
    if cursor.rest.is_empty() {
        return Ok(());
    }
    let moment = cursor.gap() && cursor.number().is_some_and(f64::is_finite);
    if moment && cursor.rest.is_empty() { Ok(()) } else { Err(form) }
}
