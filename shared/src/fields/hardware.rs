//! Sections of the hardware.

use super::{Field, Kind, Scope, Value};
use crate::word::Word;
use serde::{Deserialize, Serialize};

section! {
    /// One drive as it judges itself, by the kernel's name and, behind a controller, its place there.
    Drive "drive" Hardware { name "device" }
    240 model Text "hardware" "" "" "" 1.0 "Model." "型番。";
    241 protocol Text "vocabulary" "" "" "" 1.0 "ata, scsi or nvme." "ata・scsi・nvme。";
    242 serial Text "hash" "" "" "" 1.0 "Keyed hash of the serial number: tells that a drive was replaced, and not which one it is." "製造番号の鍵付きハッシュ（交換が分かるが、番号自体は分からない）。";
    243 firmware Text "hardware" "" "" "" 1.0 "Firmware." "ファームウェア。";
    244 capacity_bytes Gauge "bytes" "drive_capacity_bytes" "" "" 1.0 "Size." "容量。";
    245 verdict Text "vocabulary" "" "" "" 1.0 "ok, bad or unknown, by the drive's own verdict and its evidence of damage." "ドライブ自身の判定と損傷の証拠による判定：ok・bad・unknown。";
    246 health_passed Flag "0 or 1" "drive_health_passed" "" "" 1.0 "What the drive says of itself." "ドライブの自己診断結果。";
    247 temperature_celsius Gauge "celsius" "drive_temperature_celsius" "" "" 1.0 "Temperature." "温度。";
    248 power_on_hours Counter "h" "drive_power_on_seconds_total" "" "" 3600.0 "Time it has been on." "通電時間。";
    249 power_cycles Counter "1" "drive_power_cycles_total" "" "" 1.0 "Times it was switched on." "電源投入回数。";
    250 reallocated Gauge "1" "drive_reallocated_sectors" "" "" 1.0 "Sectors replaced by spares." "代替処理済みセクター数。";
    251 pending Gauge "1" "drive_pending_sectors" "" "" 1.0 "Sectors that cannot be read and wait for replacement." "代替処理待ちセクター数。";
    252 uncorrectable Gauge "1" "drive_uncorrectable_errors" "" "" 1.0 "Errors that could not be corrected." "訂正不能エラー数。";
    253 crc_errors Gauge "1" "drive_crc_errors" "" "" 1.0 "Transfers damaged between drive and machine." "転送（CRC）エラー数。";
    254 command_timeouts Gauge "1" "drive_command_timeouts" "" "" 1.0 "Commands the drive did not finish in time." "コマンドタイムアウト数。";
    255 percentage_used Gauge "percent" "drive_percentage_used" "" "" 1.0 "Share of its rated endurance that is used; may pass 100." "定格寿命の消費率（100を超えることがある）。";
    256 available_spare Gauge "percent" "drive_available_spare_percent" "" "" 1.0 "Spare blocks left." "予備領域の残り。";
    257 available_spare_threshold Gauge "percent" "drive_available_spare_threshold_percent" "" "" 1.0 "Spare blocks below which the drive warns." "予備領域の警告しきい値。";
    258 media_errors Gauge "1" "drive_media_errors" "" "" 1.0 "Data that could not be recovered." "データ完全性エラー数。";
    259 critical_warning Gauge "bits" "drive_critical_warning" "" "" 1.0 "The NVMe critical warning bits." "NVMeの重大警告ビット。";
    260 grown_defects Gauge "1" "drive_grown_defects" "" "" 1.0 "Entries of the grown defect list." "成長欠陥リストの件数。";
    261 failing_now Gauge "1" "drive_attributes_failing" "" "" 1.0 "Attributes below their threshold now." "現在しきい値を下回る属性数。";
    262 failed_past Gauge "1" "drive_attributes_failed_past" "" "" 1.0 "Attributes that were below their threshold once and are not now." "過去にしきい値を下回った属性数。";
    263 exit_bits Gauge "bits" "" "" "" 1.0 "smartctl's exit status." "smartctlの終了ステータス。";
    264 self_test_passed Flag "0 or 1" "drive_self_test_passed" "" "" 1.0 "Whether the newest finished self-test passed." "最新の自己テストの合否。";
    265 self_test_age_hours Gauge "h" "drive_self_test_age_seconds" "" "" 3600.0 "Power-on time since the newest self-test." "最新の自己テストからの通電時間。";
    266 standby Flag "0 or 1" "drive_standby" "" "" 1.0 "Whether it sleeps: it is not woken, and nothing else is read." "スタンバイ中か（測定のために起動させない）。";
    267 written_bytes Counter "bytes" "drive_written_bytes_total" "" "" 1.0 "Bytes written over its life, where it says so in known units." "累計書き込み量（単位が明確な場合のみ）。";
    268 unsafe_shutdowns Counter "1" "drive_unsafe_shutdowns_total" "" "" 1.0 "Times power went away without warning." "異常電源断の回数。";
    269 error_log_entries Gauge "1" "drive_error_log_entries" "" "" 1.0 "Entries of its error log." "エラーログの件数。";
    270 attributes Table "id, value, worst, threshold, raw, flags" "" "" "" 1.0 "The raw attribute table, as evidence." "属性の生データ（証拠用）。";
    271 serial_number Text "hardware" "" "" "" 1.0 "The serial number itself; leaves only under a consent that names this field." "製造番号そのもの（同意でこの項目が明示された場合のみ送信）。";
}
section! {
    /// One software or controller array, by the kernel's name or its place.
    Array "array" Hardware { name "device" }
    280 level Text "vocabulary" "" "" "" 1.0 "Level, such as raid1." "RAIDレベル。";
    281 state Text "vocabulary" "" "" "" 1.0 "State in the words of its driver." "状態（ドライバーの表記）。";
    282 degraded Flag "0 or 1" "array_degraded" "" "" 1.0 "Whether redundancy is missing." "冗長性が失われているか。";
    283 members Gauge "1" "array_members" "" "" 1.0 "Members it wants." "構成メンバー数。";
    284 members_active Gauge "1" "array_members_active" "" "" 1.0 "Members that work." "正常なメンバー数。";
    285 failed Gauge "1" "array_members_failed" "" "" 1.0 "Members marked as failed." "故障メンバー数。";
    286 spare Gauge "1" "array_members_spare" "" "" 1.0 "Spares." "予備メンバー数。";
    287 action Text "vocabulary" "" "" "" 1.0 "What is being done: recovery, resync, reshape, check, idle." "実行中の処理：recovery・resync・reshape・check・idle。";
    288 progress_milli Gauge "1/1000 percent" "array_progress_percent" "" "" 0.001 "How far that is." "処理の進捗。";
    289 mismatches Gauge "1" "array_mismatches" "" "" 1.0 "Sectors that differed at the last check." "前回検査での不一致セクター数。";
}
section! {
    /// One pool of storage, by `pool-` and a keyed hash of its name.
    Pool "pool" Hardware { name "alias" }
    300 kind Text "vocabulary" "" "" "" 1.0 "zfs, btrfs or lvm." "zfs・btrfs・lvm。";
    301 state Text "vocabulary" "" "" "" 1.0 "State in the words of its tool." "状態（ツールの表記）。";
    302 degraded Flag "0 or 1" "pool_degraded" "" "" 1.0 "Whether redundancy or a device is missing." "冗長性または装置が失われているか。";
    303 read_errors Counter "1" "pool_errors_total" "kind" "read" 1.0 "Read errors of its devices." "装置の読み取りエラー数。";
    304 write_errors Counter "1" "pool_errors_total" "kind" "write" 1.0 "Write errors of its devices." "装置の書き込みエラー数。";
    305 checksum_errors Counter "1" "pool_errors_total" "kind" "checksum" 1.0 "Damaged data found by checksum." "チェックサムで検出された破損数。";
    306 devices Gauge "1" "pool_devices" "" "" 1.0 "Devices." "装置数。";
    307 devices_bad Gauge "1" "pool_devices_bad" "" "" 1.0 "Devices that are not in order." "異常のある装置数。";
    308 used_permille Gauge "1/1000" "pool_used_ratio" "" "" 0.001 "Share of its space that is used." "使用率。";
}
section! {
    /// One device reached over several paths, by the kernel's name.
    Multipath "multipath" Hardware { name "device" }
    315 paths Gauge "1" "multipath_paths" "" "" 1.0 "Paths." "経路数。";
    316 paths_failed Gauge "1" "multipath_paths_failed" "" "" 1.0 "Paths that failed." "故障した経路数。";
}
section! {
    /// One sensor, by its chip and label.
    Sensor "sensor" Hardware { name "hardware" }
    320 temperature_milli Gauge "1/1000 celsius" "sensor_temperature_celsius" "" "" 0.001 "Temperature." "温度。";
    321 critical_milli Gauge "1/1000 celsius" "sensor_temperature_critical_celsius" "" "" 0.001 "Temperature its maker calls critical." "メーカーが定める危険温度。";
    322 fan_rpm Gauge "1/min" "sensor_fan_rpm" "" "" 1.0 "Fan speed." "ファン回転数。";
    323 voltage_milli Gauge "mV" "sensor_voltage_volts" "" "" 0.001 "Voltage." "電圧。";
    324 power_milli Gauge "mW" "sensor_power_watts" "" "" 0.001 "Power." "電力。";
    325 current_milli Gauge "mA" "sensor_current_amperes" "" "" 0.001 "Current." "電流。";
    326 alarm Flag "0 or 1" "sensor_alarm" "" "" 1.0 "Whether the sensor itself raises an alarm or is beyond its critical limit." "センサーが警報を出しているか、危険値を超えているか。";
}
section! {
    /// One memory controller that corrects errors.
    Ecc "ecc" Hardware { name "device" }
    340 corrected Counter "1" "ecc_errors_total" "kind" "corrected" 1.0 "Memory errors corrected since boot." "起動以降に訂正されたメモリエラー数。";
    341 uncorrected Counter "1" "ecc_errors_total" "kind" "uncorrected" 1.0 "Memory errors that could not be corrected since boot." "起動以降の訂正不能メモリエラー数。";
}
section! {
    /// What processors report of themselves, since boot, all added up.
    MachineCheck "machine_check" Hardware
    345 exceptions Counter "1" "machine_check_exceptions_total" "" "" 1.0 "Machine check exceptions." "マシンチェック例外の回数。";
    346 thermal Counter "1" "machine_check_thermal_events_total" "" "" 1.0 "Thermal events." "温度イベントの回数。";
    347 throttled Counter "1" "machine_check_throttled_total" "" "" 1.0 "Times a core was slowed down because of heat." "過熱によりコアの動作が抑制された回数。";
}
section! {
    /// One uninterruptible power supply, by `ups-` and a keyed hash of its name.
    Ups "ups" Hardware { name "alias" }
    350 status Text "vocabulary" "" "" "" 1.0 "online, battery, low, off, unknown." "状態：online・battery・low・off・unknown。";
    351 on_battery Flag "0 or 1" "ups_on_battery" "" "" 1.0 "Whether it runs on its battery." "バッテリー運転中か。";
    352 battery_low Flag "0 or 1" "ups_battery_low" "" "" 1.0 "Whether it is about to end." "バッテリー残量が少ないか。";
    353 replace_battery Flag "0 or 1" "ups_replace_battery" "" "" 1.0 "Whether it asks for a new battery." "バッテリー交換が必要か。";
    354 overload Flag "0 or 1" "ups_overload" "" "" 1.0 "Whether it is overloaded." "過負荷か。";
    355 charge_percent Gauge "percent" "ups_charge_percent" "" "" 1.0 "Charge of the battery." "バッテリー充電率。";
    356 runtime_s Gauge "s" "ups_runtime_seconds" "" "" 1.0 "How long it would last." "バッテリーで動作可能な時間。";
    357 load_percent Gauge "percent" "ups_load_percent" "" "" 1.0 "Load." "負荷率。";
    358 alarm Flag "0 or 1" "ups_alarm" "" "" 1.0 "Whether it raises an alarm of its own, is too hot, or failed its self-test." "警報・過熱・自己テスト不合格のいずれかか。";
}
section! {
    /// One power supply or battery of the machine, by its place.
    Power "power" Hardware { name "hardware" }
    365 present Flag "0 or 1" "power_present" "" "" 1.0 "Whether it is there." "装着されているか。";
    366 failed Flag "0 or 1" "power_failed" "" "" 1.0 "Whether it reports a failure." "故障を報告しているか。";
    367 input_lost Flag "0 or 1" "power_input_lost" "" "" 1.0 "Whether it gets no power." "入力電源が失われているか。";
    368 charge_percent Gauge "percent" "power_charge_percent" "" "" 1.0 "Charge, of a battery." "充電率（バッテリー）。";
    369 health_percent Gauge "percent" "power_health_percent" "" "" 1.0 "What it holds when full, of what it was built for." "満充電容量の設計容量に対する割合。";
}
