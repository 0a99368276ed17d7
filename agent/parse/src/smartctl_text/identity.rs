//! The information section: which drive it is.

use super::{Reader, number};
use crate::drive::Protocol;
use crate::text;

/// Months as the C library writes them in the untranslated locale, which smartctl uses for its dates.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Reader {
    /// Takes a line of the information section; `false` when it is none.
    pub(super) fn identity(&mut self, key: &str, value: &str) -> bool {
        let shown = Some(text::plain(value)).filter(|value| !value.is_empty());
        let drive = &mut self.report.drive;
        match key {
            "Device Model" => drive.model = shown,
            "Model Number" => {
                drive.model = shown;
                self.speaks(Protocol::Nvme);
            }
            "Vendor" => {
                self.vendor = shown;
                self.speaks(Protocol::Scsi);
            }
            "Product" => {
                // Both words together are what the JSON calls the model.
                let words = [self.vendor.take(), shown];
                drive.model = words.into_iter().flatten().reduce(|vendor, product| format!("{vendor} {product}"));
                self.speaks(Protocol::Scsi);
            }
            "Device" if value.contains("Version:") => {
                let (model, revision) = value.split_once("Version:").unwrap_or((value, ""));
                drive.model = Some(text::plain(model));
                drive.firmware = Some(text::plain(revision)).filter(|revision| !revision.is_empty());
                self.speaks(Protocol::Scsi);
            }
            "Model Family" => drive.family = shown,
            "Serial Number" | "Serial number" => drive.serial = shown,
            "Firmware Version" | "Revision" => drive.firmware = shown,
            "User Capacity" | "Namespace 1 Size/Capacity" | "Namespace 1 Capacity" => drive.capacity_bytes = number::capacity(value),
            "Total NVM Capacity" => drive.capacity_bytes = drive.capacity_bytes.or_else(|| number::capacity(value)),
            "Sector Size" | "Sector Sizes" | "Logical block size" => self.sector = number::leading(value),
            "Rotation Rate" => {
                drive.rotation_rpm = number::leading(value).filter(|rpm| *rpm > 0);
                drive.ssd = if value.starts_with("Solid State") { Some(true) } else { drive.rotation_rpm.map(|_| false) };
            }
            "ATA Version is" | "SATA Version is" => self.speaks(Protocol::Ata),
            "Transport protocol" | "Compliance" => self.speaks(Protocol::Scsi),
            "PCI Vendor/Subsystem ID" => self.speaks(Protocol::Nvme),
            "Local Time is" => self.report.observed_at_ms = moment(value),
            "SMART support is" => match value.split([' ', '.']).next() {
                Some("Available") => drive.smart_available = Some(true),
                Some("Unavailable") => drive.smart_available = Some(false),
                Some("Enabled") => drive.smart_enabled = Some(true),
                Some("Disabled") => drive.smart_enabled = Some(false),
                _ => {}
            },
            _ => return false,
        }
        true
    }
}

/// `Tue Dec  3 16:03:52 2019 JST`. Letters of a zone are ambiguous all over the world: only those that mean one
/// offset here are read.
fn moment(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, month, day, clock, year, zone] = words.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    let day: u8 = day.parse().ok()?;
    let offset = match *zone {
        "UTC" | "GMT" => "Z",
        "JST" => "+09:00",
        _ => return None,
    };
    mimamori_shared::time::parse(&format!("{year}-{month:02}-{day:02}T{clock}{offset}")).ok()
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn only_a_certain_zone_makes_a_moment() {
        let utc = mimamori_shared::time::parse("2019-12-03T16:03:52Z").ok();
        assert_eq!(moment("Tue Dec  3 16:03:52 2019 UTC"), utc);
        assert_eq!(moment("Wed Dec  4 01:03:52 2019 JST"), utc);
        assert_eq!((moment("Tue Dec  3 16:03:52 2019 CST"), moment("Tue Dec 33 16:03:52 2019 UTC"), moment("")), (None, None, None));
    }
}
