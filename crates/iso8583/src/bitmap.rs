//! The bitmap: which of fields 2 to 192 a message carries.

use crate::dialect::BitmapEncoding;

/// A set of field numbers. Field 1 is the most significant bit of the first word, as on the wire.
///
/// Field 1 itself, the sign that a second bitmap follows, is never in the set; neither is field 65
/// where it is the sign of a third bitmap that follows at once.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bitmap([u64; 3]);

/// The bit of fields 1 and 65: another bitmap follows.
const FIRST: u64 = 1 << 63;

/// The number of the field that may be the third bitmap.
pub(crate) const THIRD_FIELD: u8 = 65;

/// How the bitmap of a dialect is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BitmapLayout {
    pub(crate) encoding: BitmapEncoding,
    pub(crate) second: SecondBitmap,
    pub(crate) third: ThirdBitmap,
}

/// When a second bitmap follows the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecondBitmap {
    /// When bit 1 says so.
    Chained,
    /// Always; bit 1 stays clear.
    AlwaysClear,
    /// Always; bit 1 is always set.
    AlwaysSet,
    /// Never; bit 1 stays clear.
    Never,
}

/// When and where a third bitmap follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThirdBitmap {
    /// Never: field 65 is a field as any other.
    None,
    /// It is the content of field 65, in its place among the fields.
    Field65,
    /// At once after the second, when bit 65 says so.
    Leading,
}

impl BitmapEncoding {
    /// Bytes that eight bytes of a bitmap take on the wire.
    pub(crate) const fn width(self) -> usize {
        match self {
            Self::Binary => 8,
            Self::Hex | Self::EbcdicHex => 16,
        }
    }
}

impl Bitmap {
    pub(crate) const fn from_words(words: [u64; 3]) -> Self {
        Self(words)
    }

    pub(crate) fn contains(self, field: u8) -> bool {
        match (self.0.get(word_of(field)), bit_of(field)) {
            (Some(word), bit) => field > 0 && word & bit != 0,
            _ => false,
        }
    }

    pub(crate) fn insert(&mut self, field: u8) {
        if let Some(word) = self.0.get_mut(word_of(field)) {
            *word |= bit_of(field);
        }
    }

    /// Fields 1 to 64, 65 to 128 and 129 to 192, the lowest number in the highest bit.
    #[inline]
    pub(crate) const fn words(self) -> [u64; 3] {
        self.0
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        let [a, b, c] = self.0;
        a | b | c == 0
    }

    /// Whether any field of the second (1) or third (2) bitmap is in the set.
    pub(crate) fn has_word(self, word: usize) -> bool {
        self.0.get(word).is_some_and(|word| *word != 0)
    }

    /// The members that are in `other`, too.
    pub(crate) fn and(self, other: Self) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Self([a & x, b & y, c & z])
    }

    /// The members below `field`.
    pub(crate) fn below(self, field: u8) -> Self {
        let mut words = self.0;
        let last = word_of(field);
        for (at, word) in words.iter_mut().enumerate() {
            match at.cmp(&last) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => *word &= !(bit_of(field) | (bit_of(field) - 1)),
                std::cmp::Ordering::Greater => *word = 0,
            }
        }
        Self(words)
    }

    /// How many fields of the set come before `field`.
    #[inline]
    pub(crate) fn rank(self, field: u8) -> usize {
        let [a, b, c] = self.0;
        let before = !(bit_of(field) | (bit_of(field) - 1));
        let count = match word_of(field) {
            0 => (a & before).count_ones(),
            1 => a.count_ones() + (b & before).count_ones(),
            2 => a.count_ones() + b.count_ones() + (c & before).count_ones(),
            _ => a.count_ones() + b.count_ones() + c.count_ones(),
        };
        count as usize
    }

    /// The field numbers in ascending order.
    pub(crate) fn iter(self) -> Iter {
        let [first, second, third] = self.0;
        Iter { now: first.reverse_bits(), base: 0, later: [second, third] }
    }

    /// The words to write, with the bits that announce further bitmaps, and how many of them are
    /// written one after the other at the beginning of the message.
    pub(crate) fn leading_words(self, layout: BitmapLayout) -> ([u64; 3], usize) {
        let [mut first, mut second, third] = self.0;
        let mut count = 1;
        if third != 0 {
            second |= FIRST;
        }
        match layout.second {
            SecondBitmap::Chained if second != 0 => (first, count) = (first | FIRST, 2),
            SecondBitmap::AlwaysSet => (first, count) = (first | FIRST, 2),
            SecondBitmap::AlwaysClear => count = 2,
            SecondBitmap::Chained | SecondBitmap::Never => {}
        }
        if third != 0 && layout.third == ThirdBitmap::Leading {
            count = 3;
        }
        ([first, second, third], count)
    }

    /// The third word, for dialects where it is the content of field 65.
    pub(crate) fn third(self) -> u64 {
        self.0[2]
    }

    pub(crate) fn set_third(&mut self, word: u64) {
        self.0[2] = word;
    }
}

/// The first or the second word without its announcing bit, and that bit.
pub(crate) const fn split_announcement(word: u64) -> (u64, bool) {
    (word & !FIRST, word & FIRST != 0)
}

/// Field numbers in ascending order.
#[derive(Clone)]
pub(crate) struct Iter {
    /// The rest of a word with its bits in reverse: the lowest is found and cleared faster than the
    /// highest.
    now: u64,
    base: u8,
    later: [u64; 2],
}

impl Iterator for Iter {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        while self.now == 0 {
            if self.base >= 128 {
                return None;
            }
            self.now = self.later[0].reverse_bits();
            self.later = [self.later[1], 0];
            self.base += 64;
        }
        let zeros = self.now.trailing_zeros();
        self.now &= self.now - 1;
        #[allow(clippy::cast_possible_truncation, reason = "below 64")]
        Some(self.base + zeros as u8 + 1)
    }
}

impl Iter {
    /// Adds the fields of a third bitmap that was only now read.
    pub(crate) fn add_third(&mut self, word: u64) {
        let [second, third] = &mut self.later;
        *(if self.base == 0 { third } else { second }) = word;
    }
}

fn word_of(field: u8) -> usize {
    usize::from(field.wrapping_sub(1) / 64)
}

fn bit_of(field: u8) -> u64 {
    FIRST >> (field.wrapping_sub(1) % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAINED: BitmapLayout = BitmapLayout {
        encoding: BitmapEncoding::Binary,
        second: SecondBitmap::Chained,
        third: ThirdBitmap::None,
    };

    fn set(fields: &[u8]) -> Bitmap {
        let mut bitmap = Bitmap::default();
        fields.iter().for_each(|field| bitmap.insert(*field));
        bitmap
    }

    #[test]
    fn fields_come_in_ascending_order_and_know_their_rank() {
        let fields = [2, 3, 63, 64, 65, 70, 128, 129, 192];
        let bitmap = set(&fields);
        assert_eq!(bitmap.iter().collect::<Vec<_>>(), fields);
        assert_eq!(fields.map(|field| bitmap.rank(field)), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(
            bitmap.contains(192) && !bitmap.contains(191) && !bitmap.contains(0) && !bitmap.contains(255)
        );
        assert_eq!(bitmap.below(65).iter().collect::<Vec<_>>(), [2, 3, 63, 64]);
    }

    #[test]
    fn the_second_bitmap_is_written_only_when_needed() {
        assert_eq!(set(&[64]).leading_words(CHAINED), ([1, 0, 0], 1));
        assert_eq!(set(&[64, 66]).leading_words(CHAINED), ([FIRST | 1, 1 << 62, 0], 2));
    }

    #[test]
    fn a_bitmap_of_one_size_says_so_in_bit_one_or_not_at_all() {
        let clear = BitmapLayout { second: SecondBitmap::AlwaysClear, ..CHAINED };
        assert_eq!(set(&[70]).leading_words(clear), ([0, 1 << 58, 0], 2));
        let always = BitmapLayout { second: SecondBitmap::AlwaysSet, ..CHAINED };
        assert_eq!(set(&[64]).leading_words(always), ([FIRST | 1, 0, 0], 2));
    }

    #[test]
    fn a_third_bitmap_is_announced_by_bit_65() {
        let leading = BitmapLayout { third: ThirdBitmap::Leading, ..CHAINED };
        assert_eq!(set(&[129]).leading_words(leading), ([FIRST, FIRST, FIRST], 3));
        let inside = BitmapLayout { third: ThirdBitmap::Field65, ..CHAINED };
        assert_eq!(set(&[192]).leading_words(inside), ([FIRST, FIRST, 1], 2));
        let mut fields = set(&[64, 66]).iter();
        assert_eq!(fields.next(), Some(64));
        fields.add_third(1);
        assert_eq!(fields.collect::<Vec<_>>(), [66, 192]);
    }
}
