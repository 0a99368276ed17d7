//! The newest place of the newest chain, beside the database: two slots written in turn, so that a torn write
//! leaves the other. It notices what a damaged end of the database's log would hide.

use crate::identity::AS_IT_IS;
use mimamori_shared::id::{ChainId, Hash};
use mimamori_shared::payload::Place;
use mimamori_shared::sign::sha256;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

const SLOT_BYTES: usize = 512;
/// Places fit into 40 bits of a row's id.
const SEQ_MAX: u64 = (1 << 40) - 2;
const BODY_BYTES: usize = 8 + 16 + 8 + 32;

#[derive(Debug)]
pub(super) struct TipFile {
    file: File,
    generation: u64,
    newest: Option<Place>,
}

impl TipFile {
    pub(super) fn open(path: &Path) -> io::Result<TipFile> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(AS_IT_IS).open(path)?;
        if file.metadata()?.len() == 0
            && let Some(dir) = path.parent()
        {
            // Its name too, and before anything is in it: without it the next start would see no tip file and miss nothing.
            File::open(dir)?.sync_all()?;
        }
        let newest = read(&file)?;
        Ok(TipFile { file, generation: newest.map_or(0, |(generation, _)| generation), newest: newest.map(|(_, place)| place) })
    }

    /// Whether anything was ever written, readable or not.
    pub(super) fn was_written(&self) -> bool {
        self.newest.is_some() || self.file.metadata().is_ok_and(|meta| meta.len() > 0)
    }

    pub(super) fn newest(&self) -> Option<Place> {
        self.newest
    }

    pub(super) fn write(&mut self, place: Place) -> io::Result<()> {
        let generation = self.generation.saturating_add(1);
        let mut slot = [0; SLOT_BYTES];
        let bytes = encode(generation, &place);
        for (to, from) in slot.iter_mut().zip(bytes) {
            *to = from;
        }
        self.file.write_all_at(&slot, generation % 2 * SLOT_BYTES as u64)?;
        self.file.sync_data()?;
        self.generation = generation;
        self.newest = Some(place);
        Ok(())
    }
}

/// A slot that is short or torn counts as none; a disk that cannot be read just now says nothing about what is on it.
fn read(file: &File) -> io::Result<Option<(u64, Place)>> {
    let mut newest: Option<(u64, Place)> = None;
    for slot in [0, SLOT_BYTES as u64] {
        let mut bytes = [0; BODY_BYTES + 32];
        match file.read_exact_at(&mut bytes, slot) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(fault) => return Err(fault),
        }
        if let Some((generation, place)) = decode(&bytes)
            && newest.as_ref().is_none_or(|(other, _)| generation > *other)
        {
            newest = Some((generation, place));
        }
    }
    Ok(newest)
}

/// The newest place in the file, for those who only read.
pub(super) fn newest(path: &Path) -> Option<Place> {
    read(&OpenOptions::new().read(true).custom_flags(AS_IT_IS).open(path).ok()?).ok()?.map(|(_, place)| place)
}

fn encode(generation: u64, place: &Place) -> Vec<u8> {
    let mut bytes = generation.to_le_bytes().to_vec();
    bytes.extend_from_slice(&place.chain_id.0);
    bytes.extend_from_slice(&place.seq.to_le_bytes());
    bytes.extend_from_slice(&place.hash.0);
    let Hash(sum) = sha256(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<(u64, Place)> {
    let (body, sum) = bytes.split_at_checked(BODY_BYTES)?;
    let Hash(expected) = sha256(body);
    if sum != expected {
        return None;
    }
    let (generation, rest) = body.split_first_chunk::<8>()?;
    let (chain, rest) = rest.split_first_chunk::<16>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let place = Place { chain_id: ChainId(*chain), seq: u64::from_le_bytes(*seq), hash: Hash(rest.try_into().ok()?) };
    (place.seq <= SEQ_MAX).then_some((u64::from_le_bytes(*generation), place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(seq: u64) -> Place {
        Place { chain_id: ChainId([1; 16]), seq, hash: sha256(&seq.to_le_bytes()) }
    }

    #[test]
    fn the_newest_place_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tip");
        let mut file = TipFile::open(&path).unwrap();
        assert_eq!(file.newest(), None);
        for seq in 0..5 {
            file.write(place(seq)).unwrap();
            assert_eq!(TipFile::open(&path).unwrap().newest(), Some(place(seq)));
        }
    }

    #[test]
    fn a_link_that_waits_in_its_place_is_not_followed() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (path, victim) = (dir.path().join("tip"), elsewhere.path().join("victim"));
        TipFile::open(&victim).unwrap().write(place(3)).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert_eq!(TipFile::open(&path).unwrap_err().raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        assert_eq!(newest(&path), None);
    }

    #[test]
    fn any_damage_to_the_newest_slot_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tip");
        let mut file = TipFile::open(&path).unwrap();
        file.write(place(7)).unwrap();
        file.write(place(8)).unwrap();
        let good = std::fs::read(&path).unwrap();
        // Generation 2 lies in slot 0.
        for position in 0..BODY_BYTES + 32 {
            let mut bad = good.clone();
            bad[position] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert_eq!(TipFile::open(&path).unwrap().newest(), Some(place(7)), "byte {position}");
        }
        std::fs::write(&path, b"").unwrap();
        assert_eq!(TipFile::open(&path).unwrap().newest(), None);
    }
}
