//! What tools say when they cannot look at a drive, in words that programs may rely on.

use crate::text;

/// Words of messages, and the fault they mean; the first that fits.
const CODES: [(&str, &[&str]); 9] = [
    ("standby", &["standby", "sleep mode", "in idle", "spun down", "low power"]),
    ("permission_denied", &["permission denied", "operation not permitted", "access denied", "access is denied", "error=5", "must be root"]),
    ("timed_out", &["timed out", "timeout"]),
    ("busy", &["busy", "becoming ready"]),
    (
        "no_device",
        &["no such device", "no such file", "cannot find", "not found", "error=2", "error=3", "no medium", "doesn't exist", "does not exist", "no controller"],
    ),
    (
        "unsupported",
        &[
            "unable to detect device type",
            "unknown usb bridge",
            "not supported",
            "unsupported",
            "un-supported",
            "please try",
            "lacks smart",
            "specify device type",
            "invalid argument",
            "unrecognized option",
            "not implemented",
            "behind a sat",
            "not an ata",
            "invalid field",
            "invalid opcode",
        ],
    ),
    ("locked", &["locked"]),
    ("malformed", &["checksum", "invalid"]),
    ("not_running", &["disabled"]),
];

/// The fault a message means; `io_error` when it is none of the known ones.
pub(crate) fn code_of(message: &str) -> &'static str {
    let message = message.to_ascii_lowercase();
    CODES.iter().find(|(_, words)| words.iter().any(|word| message.contains(word))).map_or("io_error", |(code, _)| code)
}

/// Whether a name of a device has the serial number in it, as those of `/dev/disk/by-id` have.
pub(crate) fn holds_serial(device: &str, serial: Option<&str>) -> bool {
    device.contains("by-id") || serial.is_some_and(|serial| serial.len() >= 4 && device.contains(serial))
}

/// A message without names that hold a serial number.
pub(crate) fn screened(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().map(|word| if holds_serial(word, None) { "(device)" } else { word }).collect();
    text::plain(&words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_words() {
        for (message, code) in [
            ("Smartctl open device: /dev/sda failed: Permission denied", "permission_denied"),
            ("Smartctl open device: /dev/sda failed: \\\\.\\PhysicalDrive0: Open failed, Error=5", "permission_denied"),
            ("Smartctl open device: /dev/sdz failed: No such device", "no_device"),
            ("Smartctl open device: /dev/nvme3 failed: No such file or directory", "no_device"),
            ("/dev/sdq: Unable to detect device type", "unsupported"),
            ("/dev/sdd: Unknown USB bridge [0x1234:0x5678 (0x100)]", "unsupported"),
            ("Device is in STANDBY mode, exit(2)", "standby"),
            ("Smartctl open device: /dev/sda failed: Device or resource busy", "busy"),
            ("Read Device Identity failed: Input/output error", "io_error"),
            ("Read NVMe SMART/Health Information failed: Connection timed out", "timed_out"),
        ] {
            assert_eq!(code_of(message), code, "{message}");
        }
    }

    #[test]
    fn a_message_is_shown_without_serial_numbers() {
        let message = "Smartctl open device: /dev/disk/by-id/ata-MAKER_MODEL_SER1234 failed: Permission denied";
        assert_eq!(screened(message), "Smartctl open device: (device) failed: Permission denied");
        assert!(holds_serial("/dev/disk/by-path/x-SER1234", Some("SER1234")) && !holds_serial("/dev/sda", Some("SER1234")));
    }
}
