//! Strings that look like patient data, all made up from syllables and digits, and a search that finds them however
//! they are written.

use crate::Random;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::HashMap;

/// Bytes by which a spelling is looked up; none is shorter.
const KEY: usize = 8;
/// The magic number a zstd frame begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Compressed things within compressed things that are opened.
const DEPTH_MAX: usize = 4;

/// Invented strings, each at least nine bytes long and unlike anything a program would write by itself.
#[derive(Debug)]
pub struct Plants {
    /// Families of three Japanese writings.
    pub names: Vec<String>,
    /// Words of ASCII letters and digits that can name a file, a user, a host, a share.
    pub words: Vec<String>,
    /// Words short enough for a network interface: fifteen bytes.
    pub short: Vec<String>,
    /// Numbers of patients, dates of birth, tags of images.
    pub records: Vec<String>,
}

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[usize::try_from(random.next()).unwrap_or(0) % from.len()]
}

impl Plants {
    /// Draws them; the same seed gives the same.
    #[must_use]
    pub fn new(seed: u64) -> Plants {
        let mut random = Random(seed);
        let random = &mut random;
        let kanji = ["架", "空", "例", "仮", "試", "験", "患", "者", "偽", "見", "本", "虚"];
        let kana = ["カ", "ク", "ウ", "レ", "イ", "シ", "ケ", "ン", "ミ", "ホ", "ギ", "ジ"];
        let roman = ["ka", "ku", "re", "shi", "ken", "mi", "hon", "gi", "ji", "zo", "tsu", "ryo"];
        let join = |random: &mut Random, from: &[&'static str], count: usize| (0..count).map(|_| pick(random, from)).collect::<String>();
        let digits =
            |random: &mut Random, count: usize| (0..count).map(|_| char::from(b'0' + u8::try_from(random.between(0, 10)).unwrap())).collect::<String>();
        let mut plants = Plants { names: Vec::new(), words: Vec::new(), short: Vec::new(), records: Vec::new() };
        for _ in 0..60 {
            plants.names.push(format!("{} {}", join(random, &kanji, 3), join(random, &kanji, 3)));
            plants.names.push(format!("{} {}", join(random, &kana, 4), join(random, &kana, 4)));
            plants.words.push(format!("{}_{}-{}", join(random, &roman, 4), join(random, &roman, 4), digits(random, 4)));
            plants.words.push(format!("Kanja{}{}", join(random, &roman, 3), digits(random, 6)));
            plants.short.push(format!("pt{}", join(random, &roman, 6)).chars().take(15).collect());
            plants.records.push(format!("MRN-{}-{}", digits(random, 6), digits(random, 4)));
            plants.records.push(format!("(0010,0020) LO [{}]", digits(random, 10)));
            plants.records.push(format!("生年月日19{}年{}月{}日", digits(random, 2), digits(random, 2), digits(random, 2)));
            plants.records.push(format!("PN={}^{}^^{}", join(random, &roman, 3), join(random, &roman, 3), digits(random, 5)));
        }
        plants
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> = [&self.names, &self.words, &self.short, &self.records].into_iter().flatten().map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// systemd's answer to `ListUnits` as D-Bus marshals it, in hexadecimal: 80 units of these names and descriptions,
    /// half of which failed, while the others wait to be started again.
    ///
    /// # Panics
    /// Never: 80 units are far below 4 GiB.
    #[must_use]
    pub fn units(&self) -> String {
        let number = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        // The length of the array, and what aligns it.
        let mut body = vec![0; 8];
        for (unit, plant) in self.all().iter().step_by(6).take(80).enumerate() {
            body.resize(body.len().next_multiple_of(8), 0);
            let (active, sub) = if unit % 2 == 0 { ("failed", "failed") } else { ("activating", "auto-restart") };
            let state = [&format!("{plant}.service"), *plant, "loaded", active, sub, plant, &format!("/org/freedesktop/systemd1/unit/{plant}")];
            let job = ["start", &format!("/{plant}")];
            for (place, text) in state.iter().chain(&job).enumerate() {
                // A job's number stands before its type.
                body.resize(body.len().next_multiple_of(4) + if place == state.len() { 4 } else { 0 }, 0);
                body.extend([&number(text.as_bytes()), text.as_bytes(), b"\0"].concat());
            }
        }
        let array = number(&body[8..]);
        body[..4].copy_from_slice(&array);
        let fields = b"\x05\x01u\0\x02\0\0\0\x08\x01g\0\x0da(ssssssouso)\0";
        let message = [&b"l\x02\0\x01"[..], &number(&body), &[7, 0, 0, 0], &number(fields), fields, &[0; 5], &body].concat();
        message.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A search for many strings in all their spellings.
#[derive(Debug)]
pub struct Scanner {
    spellings: HashMap<[u8; KEY], Vec<(Vec<u8>, String)>>,
}

fn hex(bytes: &[u8], upper: bool) -> String {
    bytes.iter().map(|b| if upper { format!("{b:02X}") } else { format!("{b:02x}") }).collect()
}

fn url(bytes: &[u8], upper: bool) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.~".contains(b);
    bytes
        .iter()
        .map(|b| match b {
            b if plain(b) => char::from(*b).to_string(),
            b if upper => format!("%{b:02X}"),
            b => format!("%{b:02x}"),
        })
        .collect()
}

fn json(text: &str, all: bool) -> String {
    let plain = |c: &char| c.is_ascii() && !all;
    text.chars().map(|c| if plain(&c) { c.to_string() } else { c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect() }).collect()
}

/// The part of the base64 of anything that holds `bytes` behind `before` others (modulo 3).
fn base64(bytes: &[u8], before: usize, engine: &impl base64::Engine) -> String {
    let padded = [vec![0; before], bytes.to_vec()].concat();
    let text = engine.encode(&padded);
    let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    text[from..to].to_owned()
}

impl Scanner {
    /// For these strings.
    #[must_use]
    pub fn new(plants: &[&str]) -> Scanner {
        let mut scanner = Scanner { spellings: HashMap::new() };
        for plant in plants {
            let spellings: Vec<String> = vec![
                (*plant).to_owned(),
                plant.to_lowercase(),
                plant.to_uppercase(),
                plant.replace(' ', "\\040"),
                plant.replace(' ', "_"),
                plant.replace('_', "-"),
            ];
            for text in spellings {
                scanner.add(plant, &text);
            }
        }
        scanner
    }

    fn add(&mut self, plant: &str, text: &str) {
        let bytes = text.as_bytes();
        let reversed: String = text.chars().rev().collect();
        let wide = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let mut ways: Vec<(&str, Vec<u8>)> = vec![
            ("plain", bytes.to_vec()),
            ("reversed", reversed.into_bytes()),
            ("reversed bytes", bytes.iter().rev().copied().collect()),
            ("utf-16 le", wide(u16::to_le_bytes)),
            ("utf-16 be", wide(u16::to_be_bytes)),
            ("hex", hex(bytes, false).into_bytes()),
            ("hex", hex(bytes, true).into_bytes()),
            ("url", url(bytes, true).into_bytes()),
            ("url", url(bytes, false).into_bytes()),
            ("json", json(text, false).into_bytes()),
            ("json", json(text, true).into_bytes()),
        ];
        for before in 0..3 {
            ways.push(("base64", base64(bytes, before, &STANDARD).into_bytes()));
            ways.push(("base64 url", base64(bytes, before, &URL_SAFE).into_bytes()));
        }
        for (way, spelling) in ways {
            let key = spelling.first_chunk::<KEY>().unwrap_or_else(|| panic!("{plant} is too short as {way}"));
            let known = self.spellings.entry(*key).or_default();
            if !known.iter().any(|(other, _)| *other == spelling) {
                known.push((spelling, format!("{plant} as {way}")));
            }
        }
    }

    /// What is found in these bytes, and in whatever in them can be decompressed.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        self.look(bytes, 0, &mut found);
        found.sort();
        found.dedup();
        found
    }

    fn look(&self, bytes: &[u8], depth: usize, found: &mut Vec<String>) {
        for at in 0..bytes.len() {
            let rest = &bytes[at..];
            if let Some(key) = rest.first_chunk::<KEY>()
                && let Some(spellings) = self.spellings.get(key)
            {
                found.extend(spellings.iter().filter(|(spelling, _)| rest.starts_with(spelling)).map(|(_, what)| what.clone()));
            }
            if depth < DEPTH_MAX
                && rest.starts_with(&ZSTD)
                && let Some(opened) = opened(rest)
            {
                self.look(&opened, depth + 1, found);
            }
        }
    }
}

/// The content of the zstd frame that begins here, as far as it can be read.
fn opened(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(bytes).ok()?.single_frame();
    // A frame that is cut still gives its beginning.
    drop(decoder.take(64 << 20).read_to_end(&mut plain));
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    #[test]
    fn the_search_finds_every_plant_in_every_spelling() {
        let plants = Plants::new(1);
        let all = plants.all();
        assert!(all.len() >= 500, "{}", all.len());
        let scanner = Scanner::new(&all);
        assert!(all.iter().all(|plant| plant.len() >= 9), "a short one would be found by chance");
        for (number, plant) in all.iter().enumerate() {
            let text = format!("{}{plant}<end>", "x".repeat(number % 7));
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            let percent: String =
                text.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
            let packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
            let twice = zstd::bulk::compress(&[b"noise".to_vec(), packed.clone()].concat(), 3).unwrap();
            let ways: [(&str, Vec<u8>); 12] = [
                ("plain", text.clone().into_bytes()),
                ("upper", text.to_uppercase().into_bytes()),
                ("lower", text.to_lowercase().into_bytes()),
                ("reversed", text.chars().rev().collect::<String>().into_bytes()),
                ("utf-16", wide),
                ("hex", text.bytes().map(|b| format!("{b:02x}")).collect::<String>().into_bytes()),
                ("json", escaped.into_bytes()),
                ("url", percent.into_bytes()),
                ("base64", STANDARD.encode(&text).into_bytes()),
                ("base64 url", URL_SAFE.encode(&text).into_bytes()),
                ("zstd", packed),
                ("zstd in zstd", [b"head".to_vec(), twice].concat()),
            ];
            for (way, bytes) in ways {
                assert!(scanner.find(&bytes).iter().any(|found| found.starts_with(plant)), "{plant} as {way}");
            }
        }
        let mut random = Random(5);
        let noise: Vec<u8> = (0..200_000).map(|_| random.next().to_le_bytes()[0]).collect();
        assert_eq!(scanner.find(&noise), Vec::<String>::new());
    }
}
