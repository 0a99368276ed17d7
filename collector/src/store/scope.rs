//! Who may see what, and who did it.

use super::named::ActorKind;
use mimamori_shared::word::Word;

/// What a caller may see and change. There is no read that forgets it: every one takes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Every facility: the operator's own tools and the collector itself.
    All,
    /// One facility, by its alias.
    Facility(Word),
}

impl Scope {
    /// Whether something of this facility is inside.
    #[must_use]
    pub fn covers(&self, facility: &Word) -> bool {
        match self {
            Scope::All => true,
            Scope::Facility(alias) => alias == facility,
        }
    }

    /// The facility, or `None` for all: what the statements are given.
    #[must_use]
    pub fn facility(&self) -> Option<&str> {
        match self {
            Scope::All => None,
            Scope::Facility(alias) => Some(alias.as_str()),
        }
    }
}

/// Who does something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// In which role.
    pub kind: ActorKind,
    /// Name within that role.
    pub name: Word,
}
