//! Every bound of the wire, in one place; the collector serves them at `/limits`.

/// Largest payload, in bytes, enforced where it is made.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;
/// Largest request body as sent, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest request body decompressed, in bytes.
pub const BODY_PLAIN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest ratio of decompressed to sent bytes. A body below [`RATIO_FREE_BYTES`] is not held to it.
pub const BODY_RATIO_MAX: usize = 64;
/// Decompressed bytes that are always allowed, so that a tiny body of repeated text is not refused.
pub const RATIO_FREE_BYTES: usize = 64 * 1024;
/// log2 of the largest zstd window: 8 MiB.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Frames in one request.
pub const FRAMES_MAX: usize = 1024;
/// Largest answer an agent reads, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Largest enrolment request, in bytes.
pub const ENROL_BYTES_MAX: usize = 4 * 1024;
/// Nesting of a payload's JSON.
pub const JSON_DEPTH_MAX: usize = 16;
/// Bytes of one string in a payload.
pub const JSON_STRING_BYTES_MAX: usize = 4 * 1024;
/// Members of one array in a payload.
pub const JSON_ARRAY_MAX: usize = 4096;
/// Bytes of one key in a payload.
pub const JSON_KEY_BYTES_MAX: usize = 64;
/// Values of one report that become series.
pub const SERIES_PER_AGENT_MAX: usize = 512;
/// Values of one facility that become series.
pub const SERIES_PER_FACILITY_MAX: usize = 20_000;
/// Entries of one list section.
pub const NAMES_PER_SECTION_MAX: usize = 64;
/// Branches of one chain that are kept.
pub const BRANCHES_MAX: u32 = 4;
/// New chains that one agent may open in [`CHAINS_WINDOW_S`] without approval.
pub const NEW_CHAINS_MAX: u32 = 3;
/// Window of [`NEW_CHAINS_MAX`], in seconds: 30 days.
pub const CHAINS_WINDOW_S: i64 = 30 * 86_400;
/// Shortest interval between reports, in seconds.
pub const INTERVAL_S_MIN: u64 = 5;
/// Longest interval between reports, in seconds.
pub const INTERVAL_S_MAX: u64 = 86_400;
/// Longest time a token may be redeemed, in seconds.
pub const TOKEN_TTL_S_MAX: u64 = 86_400;
/// Longest wait a collector's `Retry-After` can ask of an agent, in seconds: with the jitter of a fifth on top, an hour.
pub const RETRY_AFTER_S_MAX: u64 = 3000;

const _: () = assert!(REPORT_BYTES_MAX * 4 <= BODY_PLAIN_BYTES_MAX, "a body holds at least four full reports");
const _: () = assert!(BODY_BYTES_MAX * BODY_RATIO_MAX >= BODY_PLAIN_BYTES_MAX, "the ratio does not forbid a full body");
const _: () = assert!(1 << ZSTD_WINDOW_LOG_MAX <= BODY_PLAIN_BYTES_MAX, "the window is no larger than a body");

/// The table served at `/limits`: name, value, unit.
pub const TABLE: &[(&str, u64, &str)] = &[
    ("report_bytes_max", REPORT_BYTES_MAX as u64, "bytes"),
    ("body_bytes_max", BODY_BYTES_MAX as u64, "bytes"),
    ("body_plain_bytes_max", BODY_PLAIN_BYTES_MAX as u64, "bytes"),
    ("body_ratio_max", BODY_RATIO_MAX as u64, "1"),
    ("zstd_window_log_max", ZSTD_WINDOW_LOG_MAX as u64, "log2 bytes"),
    ("frames_max", FRAMES_MAX as u64, "1"),
    ("enrol_bytes_max", ENROL_BYTES_MAX as u64, "bytes"),
    ("json_depth_max", JSON_DEPTH_MAX as u64, "1"),
    ("json_string_bytes_max", JSON_STRING_BYTES_MAX as u64, "bytes"),
    ("json_array_max", JSON_ARRAY_MAX as u64, "1"),
    ("json_key_bytes_max", JSON_KEY_BYTES_MAX as u64, "bytes"),
    ("series_per_agent_max", SERIES_PER_AGENT_MAX as u64, "1"),
    ("series_per_facility_max", SERIES_PER_FACILITY_MAX as u64, "1"),
    ("names_per_section_max", NAMES_PER_SECTION_MAX as u64, "1"),
    ("branches_max", BRANCHES_MAX as u64, "1"),
    ("new_chains_max", NEW_CHAINS_MAX as u64, "1 in 30 days"),
    ("interval_s_min", INTERVAL_S_MIN, "seconds"),
    ("interval_s_max", INTERVAL_S_MAX, "seconds"),
];
