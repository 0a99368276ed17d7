//! Just enough of DER (X.690) to walk through a certificate.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_ID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// The tag before a certificate's version.
pub(crate) const VERSION: u8 = 0xa0;

/// One element of the wanted kind, shorter than 64 KiB: its tag, its content, and what stands behind it.
pub(crate) fn take(der: &[u8], wanted: Option<u8>) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    if wanted.is_some_and(|wanted| wanted != *tag) {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            // DER has one way to write a length: the shortest.
            if length < (if *first == 0x81 { 0x80 } else { 0x100 }) {
                return None;
            }
            (length, rest)
        }
        _ => return None,
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((*tag, content, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_have_one_way_to_be_written() {
        assert_eq!(take(&[SEQUENCE, 1, 7, 9], Some(SEQUENCE)), Some((SEQUENCE, &[7][..], &[9][..])));
        let long = [&[INTEGER, 0x81, 0x80][..], &[5; 0x80]].concat();
        assert_eq!(take(&long, None), Some((INTEGER, &[5; 0x80][..], &[][..])));
        let longer = [&[INTEGER, 0x82, 0x01, 0x00][..], &[5; 0x100]].concat();
        assert_eq!(take(&longer, None).map(|taken| taken.1.len()), Some(0x100));
        for bad in [&[][..], &[2], &[2, 1], &[2, 0x80, 0, 0], &[2, 0x81, 1, 7], &[2, 0x82, 0, 1, 7], &[2, 0x83, 1, 0, 0], &[2, 0xff]] {
            assert_eq!(take(bad, None), None, "{bad:?}");
        }
        assert_eq!(take(&[INTEGER, 0], Some(SET)), None);
    }

    proptest! {
        #[test]
        fn property_what_is_taken_was_there(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some((tag, content, behind)) = take(&bytes, None) {
                prop_assert_eq!(tag, bytes[0]);
                let head = bytes.len() - content.len() - behind.len();
                prop_assert!((2..=4).contains(&head) && bytes.ends_with(behind) && &bytes[head..head + content.len()] == content);
            }
        }
    }
}
