//! The purposes a facility consents to.

use serde::{Deserialize, Serialize};

/// What a facility consents to, by purpose. The names stand in consent files and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// That the machine and its agent are alive, and the state of its clock.
    Heartbeat,
    /// Load, memory, disk and processor figures.
    Performance,
    /// Health of disks, board, power supplies.
    Hardware,
    /// Filesystems, services, kernel counters.
    OsState,
    /// Traffic and errors of network interfaces.
    Network,
    /// Results of application checks the facility defined.
    ApplicationProbe,
    /// Pending and installed updates.
    Patch,
    /// Antivirus product and pattern state.
    Antivirus,
    /// Backup sets and their age.
    Backup,
    /// Products and versions.
    Inventory,
    /// Local maintenance accounts.
    Accounts,
    /// Counts of log lines by class.
    LogCounts,
}

impl Scope {
    /// Every scope, in the order in which documents list them.
    pub const ALL: [Scope; 12] = [
        Scope::Heartbeat,
        Scope::Performance,
        Scope::Hardware,
        Scope::OsState,
        Scope::Network,
        Scope::ApplicationProbe,
        Scope::Patch,
        Scope::Antivirus,
        Scope::Backup,
        Scope::Inventory,
        Scope::Accounts,
        Scope::LogCounts,
    ];

    /// The name in consent files and on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scope::Heartbeat => "heartbeat",
            Scope::Performance => "performance",
            Scope::Hardware => "hardware",
            Scope::OsState => "os_state",
            Scope::Network => "network",
            Scope::ApplicationProbe => "application_probe",
            Scope::Patch => "patch",
            Scope::Antivirus => "antivirus",
            Scope::Backup => "backup",
            Scope::Inventory => "inventory",
            Scope::Accounts => "accounts",
            Scope::LogCounts => "log_counts",
        }
    }

    /// The scope of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// Whether its readings are states, which say something by staying as they are, and not raw measures alone. A full
    /// outbox drops measures first.
    #[must_use]
    pub fn is_state(self) -> bool {
        !matches!(self, Scope::Heartbeat | Scope::Performance | Scope::Network)
    }
}
