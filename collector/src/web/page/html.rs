//! A writer of HTML that escapes. Only text known when this was compiled goes out as it is.

/// HTML under way.
#[derive(Debug, Default)]
pub struct Html {
    out: String,
}

impl Html {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Html {
        Html::default()
    }

    /// Markup of our own.
    pub fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.out.push_str(markup);
        self
    }

    /// Text of anybody.
    pub fn text(&mut self, text: &str) -> &mut Html {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '"' => self.out.push_str("&quot;"),
                '\'' => self.out.push_str("&#39;"),
                c if hides(c) => self.out.push('\u{fffd}'),
                c => self.out.push(c),
            }
        }
        self
    }

    /// Begins an element. Names are ours, values anybody's.
    pub fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &str)]) -> &mut Html {
        self.raw("<").raw(tag);
        for (name, value) in attributes {
            self.raw(" ").raw(name).raw("=\"").text(value).raw("\"");
        }
        self.raw(">")
    }

    /// Ends an element.
    pub fn close(&mut self, tag: &'static str) -> &mut Html {
        self.raw("</").raw(tag).raw(">")
    }

    /// An element with text alone.
    pub fn leaf(&mut self, tag: &'static str, attributes: &[(&'static str, &str)], text: &str) -> &mut Html {
        self.open(tag, attributes).text(text).close(tag)
    }

    /// The whole.
    #[must_use]
    pub fn done(self) -> String {
        self.out
    }
}

/// Control characters, and those that turn the direction of the text around them.
fn hides(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// One segment of a path: everything but unreserved characters is percent-encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values_are_escaped() {
        let mut html = Html::new();
        html.leaf("a", &[("href", "\"><x>")], "<b>&'\"\u{202e}\u{0}日本");
        assert_eq!(html.done(), "<a href=\"&quot;&gt;&lt;x&gt;\">&lt;b&gt;&amp;&#39;&quot;\u{fffd}\u{fffd}日本</a>");
        assert_eq!(segment("../a b?#日"), "%2E%2E%2Fa%20b%3F%23%E6%97%A5");
    }
}
