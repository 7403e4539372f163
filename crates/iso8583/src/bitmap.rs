//! The bitmap: which of fields 2 to 128 a message carries.

/// A set of field numbers. Field 1 is the most significant bit, as on the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bitmap(u128);

/// The bit of field 1, which says that fields 65 to 128 follow.
const SECONDARY: u128 = 1 << 127;

/// The bits of fields 65 to 128.
const SECOND_HALF: u128 = u64::MAX as u128;

impl Bitmap {
    /// The set that the bytes of one (8) or two (16) bitmaps announce.
    pub(crate) fn from_primary(primary: [u8; 8]) -> Self {
        Self(u128::from(u64::from_be_bytes(primary)) << 64)
    }

    pub(crate) fn with_secondary(self, secondary: [u8; 8]) -> Self {
        Self(self.0 | u128::from(u64::from_be_bytes(secondary)))
    }

    pub(crate) fn announces_secondary(self) -> bool {
        self.0 & SECONDARY != 0
    }

    pub(crate) fn has_second_half(self) -> bool {
        self.0 & SECOND_HALF != 0
    }

    pub(crate) fn contains(self, field: u8) -> bool {
        bit(field).is_some_and(|bit| self.0 & bit != 0)
    }

    pub(crate) fn insert(&mut self, field: u8) {
        self.0 |= bit(field).unwrap_or(0);
    }

    /// How many fields are in the set (the bitmap itself is none).
    pub(crate) fn len(self) -> usize {
        (self.0 & !SECONDARY).count_ones() as usize
    }

    /// How many fields of the set come before `field`.
    pub(crate) fn rank(self, field: u8) -> usize {
        let before = bit(field).map_or(u128::MAX, |bit| !(bit | (bit - 1)));
        (self.0 & !SECONDARY & before).count_ones() as usize
    }

    /// The field numbers in ascending order.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        let mut left = self.0 & !SECONDARY;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let zeros = left.leading_zeros();
            left &= !(1 << (127 - zeros));
            #[allow(clippy::cast_possible_truncation, reason = "at most 127 leading zeros")]
            Some(zeros as u8 + 1)
        })
    }

    /// The bytes to write: 16 when a field above 64 is in the set, else 8.
    pub(crate) fn to_bytes(self) -> ([u8; 16], usize) {
        if self.has_second_half() {
            ((self.0 | SECONDARY).to_be_bytes(), 16)
        } else {
            (self.0.to_be_bytes(), 8)
        }
    }
}

fn bit(field: u8) -> Option<u128> {
    (1..=128).contains(&field).then(|| 1 << (128 - u32::from(field)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_listed_in_order_and_counted() {
        let bitmap = Bitmap::from_primary([0x80, 0x20, 0, 0, 0, 0xC0, 0, 0x10])
            .with_secondary([4, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bitmap.iter().collect::<Vec<_>>(), [11, 41, 42, 60, 70, 128]);
        assert_eq!(bitmap.len(), 6);
        assert_eq!(bitmap.iter().map(|n| bitmap.rank(n)).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert!(bitmap.announces_secondary() && bitmap.has_second_half());
        assert!(
            bitmap.contains(128) && !bitmap.contains(127) && !bitmap.contains(129) && !bitmap.contains(0)
        );
    }

    #[test]
    fn the_second_bitmap_is_written_only_when_needed() {
        let mut bitmap = Bitmap::default();
        bitmap.insert(64);
        assert_eq!(bitmap.to_bytes().1, 8);
        bitmap.insert(65);
        let (bytes, len) = bitmap.to_bytes();
        assert_eq!((len, bytes[0], bytes[8]), (16, 0x80, 0x80));
    }
}
