//! A text that is neither printed nor left behind in memory.

use std::fmt;
use zeroize::Zeroizing;

/// A secret text. Debug prints `[secret]`, there is no Display, and the memory is wiped on drop.
///
/// The text it was parsed from is not wiped here: that belongs to the caller.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// What is printed in place of any secret.
    pub const SHOWN: &'static str = "[secret]";

    /// Takes over `text` without copying it.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The secret itself. Neither log it nor put it into an error.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Secret::SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_does_not_tell() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "[secret] Some(\n    [secret],\n)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
