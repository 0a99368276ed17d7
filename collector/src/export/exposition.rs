//! The two text forms of metrics: Prometheus 0.0.4 and OpenMetrics 1.0, chosen by `Accept`.

use std::fmt::{self, Write};

/// Which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
}

impl Format {
    /// OpenMetrics when the client asks for it at least as much as for plain text, otherwise text.
    #[must_use]
    pub fn from_accept(accept: Option<&str>) -> Format {
        let (mut open, mut plain) = (0, 0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameter = |key: &str| parts.clone().find_map(|part| part.strip_prefix(key));
            let weight = parameter("q=").map_or(1000, milli);
            match name.as_str() {
                "application/openmetrics-text" if parameter("version=").is_none_or(|v| matches!(v, "1.0.0" | "0.0.1")) => {
                    open = open.max(weight);
                }
                "text/plain" | "text/*" | "*/*" => plain = plain.max(weight),
                _ => {}
            }
        }
        if open > 0 && open >= plain { Format::OpenMetrics } else { Format::Text }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// A quality such as `0.75` in thousandths; what is no quality counts as 0.
fn milli(quality: &str) -> u32 {
    let (whole, part) = quality.trim().split_once('.').unwrap_or((quality.trim(), ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 1 || part.len() > 3 || !digits(whole) || !digits(part) {
        return 0;
    }
    format!("{whole}{part:0<3}").parse::<u32>().unwrap_or(0).min(1000)
}

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl MetricKind {
    /// The word of the TYPE line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        }
    }
}

/// A value, written without loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Whole.
    Whole(i64),
    /// Whole and never negative.
    Count(u64),
    /// Milliseconds, written as seconds.
    Millis(i64),
    /// Anything else.
    Real(f64),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Whole(number) => write!(f, "{number}"),
            Number::Count(number) => write!(f, "{number}"),
            Number::Millis(ms) => {
                let sign = if *ms < 0 { "-" } else { "" };
                let (seconds, rest) = (ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000);
                if rest == 0 { write!(f, "{sign}{seconds}") } else { write!(f, "{}", format!("{sign}{seconds}.{rest:03}").trim_end_matches('0')) }
            }
            Number::Real(number) if number.is_nan() => f.write_str("NaN"),
            Number::Real(number) if number.is_infinite() => f.write_str(if *number > 0.0 { "+Inf" } else { "-Inf" }),
            Number::Real(number) => write!(f, "{number}"),
        }
    }
}

/// Writes families, one after another.
pub struct Exposition<'w> {
    out: &'w mut dyn Write,
    format: Format,
}

impl fmt::Debug for Exposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").field("format", &self.format).finish_non_exhaustive()
    }
}

impl<'w> Exposition<'w> {
    /// Writes to `out`.
    pub fn new(out: &'w mut dyn Write, format: Format) -> Exposition<'w> {
        Exposition { out, format }
    }

    /// HELP and TYPE of a family: once, before its samples.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str) -> fmt::Result {
        let name = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix("_total").filter(|_| kind == MetricKind::Counter).unwrap_or(name),
        };
        write!(self.out, "# HELP {name} ")?;
        // Quotes are escaped in OpenMetrics' help and not in the older form.
        escape(self.out, help, self.format == Format::OpenMetrics)?;
        writeln!(self.out, "\n# TYPE {name} {}", kind.name())
    }

    /// One sample. A label with an empty name is left out.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: Number) -> fmt::Result {
        self.out.write_str(name)?;
        let mut before = '{';
        for (label, text) in labels.iter().filter(|(label, _)| !label.is_empty()) {
            write!(self.out, "{before}{label}=\"")?;
            escape(self.out, text, true)?;
            self.out.write_char('"')?;
            before = ',';
        }
        if before == ',' {
            self.out.write_char('}')?;
        }
        writeln!(self.out, " {value}")
    }

    /// The end of the whole answer.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn end(&mut self) -> fmt::Result {
        match self.format {
            Format::Text => Ok(()),
            Format::OpenMetrics => self.out.write_str("# EOF\n"),
        }
    }
}

fn escape(out: &mut dyn Write, text: &str, quotes: bool) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '"' if quotes => out.write_str("\\\"")?,
            c => out.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_accept() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/plain;version=0.0.4"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0, text/plain;q=0.5"), Format::OpenMetrics),
            (Some("application/openmetrics-text;q=0.2, text/plain"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;version=9.0.0"), Format::Text),
            (Some("application/openmetrics-text;q=nonsense, ;;,"), Format::Text),
        ] {
            assert_eq!(Format::from_accept(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn numbers_are_written_without_loss() {
        for (number, text) in [
            (Number::Whole(i64::MIN), "-9223372036854775808"),
            (Number::Count(u64::MAX), "18446744073709551615"),
            (Number::Millis(35), "0.035"),
            (Number::Millis(-1500), "-1.5"),
            (Number::Millis(1_795_324_604_000), "1795324604"),
            (Number::Millis(i64::MAX), "9223372036854775.807"),
            (Number::Real(f64::INFINITY), "+Inf"),
            (Number::Real(f64::NAN), "NaN"),
            (Number::Real(0.25), "0.25"),
        ] {
            assert_eq!(number.to_string(), text);
        }
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let mut out = String::new();
        let mut text = Exposition::new(&mut out, Format::OpenMetrics);
        text.family("a_total", MetricKind::Counter, "say \"x\"\nand \\").unwrap();
        text.sample("a_total", &[("l", "\\ \" \n }"), ("", "unused")], Number::Whole(1)).unwrap();
        text.sample("b", &[], Number::Whole(2)).unwrap();
        text.end().unwrap();
        let expected = "# HELP a say \\\"x\\\"\\nand \\\\\n# TYPE a counter\na_total{l=\"\\\\ \\\" \\n }\"} 1\nb 2\n# EOF\n";
        assert_eq!(out, expected);
    }
}
