//! Working keys in a UnionPay sign-on reply (DE62 of 0810; unionpay.md §4.1).
//!
//! | DE60.3 | bytes | layout, each key encrypted under the terminal master key |
//! |---|---|---|
//! | 001 | 24 | PIK 8 ‖ KCV 4 ‖ MAK 8 ‖ KCV 4 |
//! | 003 | 40 | PIK 16 ‖ KCV 4 ‖ MAK 8 ‖ zero 8 ‖ KCV 4 |
//! | 004 | 60 | as 003, then TDK 16 ‖ KCV 4 |

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    kcv::Kcv,
    mac::{MacAlgorithm, MacKey, MacKeyError},
    random::random_bytes,
    tdes,
};

/// A terminal master key: the double-length key under which working keys travel.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Tmk([u8; 16]);

impl Tmk {
    /// Takes the 16 key bytes as they are; DES parity bits are not looked at.
    #[must_use]
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(random_bytes())
    }

    /// Reads 32 hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; 16];
        hex::decode_to_slice(text, &mut key).ok()?;
        Some(Self(key))
    }

    /// The key itself, for sealing it into a store.
    #[must_use]
    pub fn secret_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The check value, safe to show.
    #[must_use]
    pub fn kcv(&self) -> Kcv {
        Kcv::of_double(&self.0)
    }
}

impl fmt::Debug for Tmk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tmk(kcv {})", self.kcv())
    }
}

/// Which keys a block has, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyBlockForm {
    /// DE60.3 = 001, 24 bytes: single-length keys. A PIN key of 56 bits keeps nobody out for long; this is
    /// for terminals that can do no better, and only where a profile says so.
    Single,
    /// DE60.3 = 003, 40 bytes: double-length PIN key.
    Double,
    /// DE60.3 = 004, 60 bytes: as `Double`, with a track key.
    DoubleWithTrack,
}

impl KeyBlockForm {
    /// The form that a UnionPay sign-on asks for with DE60.3; `None` for a code that has none of these.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "001" => Some(Self::Single),
            "003" => Some(Self::Double),
            "004" => Some(Self::DoubleWithTrack),
            _ => None,
        }
    }

    /// Random keys for a block of this form.
    #[must_use]
    pub fn generate(self) -> WorkingKeys {
        let mut keys = WorkingKeys::generate(self == Self::DoubleWithTrack);
        if self == Self::Single {
            let half: Zeroizing<[u8; 8]> = Zeroizing::new(random_bytes());
            keys.pik = *doubled(&half);
        }
        keys
    }

    /// Encrypts `keys` under `tmk`. Of a key that the form has no room for, nothing is sent: the second half
    /// of a PIN key, a track key.
    #[must_use]
    pub fn wrap(self, tmk: &Tmk, keys: &WorkingKeys) -> Vec<u8> {
        if self != Self::Single {
            let tdk = keys.tdk.filter(|_| self == Self::DoubleWithTrack);
            return wrap_working_keys(tmk, &WorkingKeys { tdk, ..keys.clone() });
        }
        let mut block = Vec::with_capacity(24);
        let (halves, _) = keys.pik.as_chunks::<8>();
        for key in halves.iter().take(1).chain([&keys.mak]) {
            let mut wrapped = [*key];
            tdes::encrypt2(&tmk.0, &mut wrapped);
            block.extend_from_slice(wrapped.as_flattened());
            block.extend_from_slice(&Kcv::of_single(key).0);
        }
        block
    }
}

/// The keys of one signed-on session.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct WorkingKeys {
    /// PIN key. A single-length key from a 24-byte block stands here twice, which is the same cipher.
    pub pik: [u8; 16],
    /// MAC key; UnionPay uses eight bytes of it whatever the block's length.
    pub mak: [u8; 8],
    /// Track key, only in a 60-byte block.
    pub tdk: Option<[u8; 16]>,
}

impl WorkingKeys {
    /// Random keys for a reply to DE60.3 = 003, or 004 when `with_track_key`.
    #[must_use]
    pub fn generate(with_track_key: bool) -> Self {
        Self { pik: random_bytes(), mak: random_bytes(), tdk: with_track_key.then(random_bytes) }
    }

    /// The MAC key for `algorithm`.
    ///
    /// # Errors
    /// [`MacKeyError::Length`] for an algorithm that does not take a key of eight bytes.
    pub fn mac_key(&self, algorithm: MacAlgorithm) -> Result<MacKey, MacKeyError> {
        MacKey::new(algorithm, &self.mak)
    }
}

impl fmt::Debug for WorkingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkingKeys")
            .field("pik_kcv", &Kcv::of_double(&self.pik))
            .field("mak_kcv", &Kcv::of_single(&self.mak))
            .field("tdk_kcv", &self.tdk.as_ref().map(Kcv::of_double))
            .finish()
    }
}

/// Which key of a block an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// PIN key.
    Pik,
    /// MAC key.
    Mak,
    /// Track key.
    Tdk,
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pik => "PIN key",
            Self::Mak => "MAC key",
            Self::Tdk => "track key",
        })
    }
}

/// Why a key block was refused. No key of a refused block is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyBlockError {
    /// A length that no layout has.
    #[error("a key block is 24, 40 or 60 bytes long, this one has {0}")]
    Length(usize),
    /// A length that is in use, of a layout that no public source settles: 56, 84 and 104 bytes
    /// (DE60.3 = 005 and 006, SM4), 50 and 75 (a vendor's records). Guessing at keys is worse than
    /// refusing them.
    #[error(
        "a key block of {0} bytes is in use, but its layout is not known here; sign on with DE60.3 = 003 or 004, which give 40 or 60 bytes"
    )]
    Unsettled(usize),
    /// A key does not give the check value beside it: another master key, or a damaged block.
    #[error(
        "the {key} does not match its check value {expected} (it gives {found}); the terminal master key differs or the block is damaged"
    )]
    CheckValue {
        /// The first key that failed.
        key: KeyName,
        /// What the block says.
        expected: Kcv,
        /// What the key gives.
        found: Kcv,
    },
}

/// Encrypts `keys` under `tmk`: 40 bytes without a track key, 60 with one.
#[must_use]
pub fn wrap_working_keys(tmk: &Tmk, keys: &WorkingKeys) -> Vec<u8> {
    let mut block = Vec::with_capacity(60);
    wrap_double(tmk, &keys.pik, &mut block);
    let mut mak = [keys.mak];
    tdes::encrypt2(&tmk.0, &mut mak);
    block.extend_from_slice(mak.as_flattened());
    block.extend_from_slice(&[0; 8]);
    block.extend_from_slice(&Kcv::of_single(&keys.mak).0);
    if let Some(tdk) = &keys.tdk {
        wrap_double(tmk, tdk, &mut block);
    }
    block
}

/// Decrypts a block and checks every key: all of them or none.
///
/// # Errors
/// [`KeyBlockError`] for a length other than 24, 40 or 60 and for a check value that disagrees.
pub fn unwrap_working_keys(tmk: &Tmk, block: &[u8]) -> Result<WorkingKeys, KeyBlockError> {
    let mut reader = Reader { tmk, rest: block, length: block.len() };
    // Every key is checked before any leaves its wiping wrapper.
    let (pik, mak, tdk) = match block.len() {
        24 => {
            let single = reader.single(KeyName::Pik, 0)?;
            (doubled(&single), reader.single(KeyName::Mak, 0)?, None)
        }
        // The second half of the MAC key is zero, or the key again: senders differ and nothing uses it.
        40 => (reader.double(KeyName::Pik)?, reader.single(KeyName::Mak, 8)?, None),
        60 => (
            reader.double(KeyName::Pik)?,
            reader.single(KeyName::Mak, 8)?,
            Some(reader.double(KeyName::Tdk)?),
        ),
        other @ (50 | 56 | 75 | 84 | 104) => return Err(KeyBlockError::Unsettled(other)),
        other => return Err(KeyBlockError::Length(other)),
    };
    Ok(WorkingKeys { pik: *pik, mak: *mak, tdk: tdk.map(|key| *key) })
}

fn wrap_double(tmk: &Tmk, key: &[u8; 16], block: &mut Vec<u8>) {
    let (halves, _) = key.as_chunks::<8>();
    let mut halves = Zeroizing::new(halves.to_vec());
    tdes::encrypt2(&tmk.0, &mut halves);
    block.extend_from_slice(halves.as_flattened());
    block.extend_from_slice(&Kcv::of_double(key).0);
}

fn doubled(key: &[u8; 8]) -> Zeroizing<[u8; 16]> {
    let mut both = Zeroizing::new([0; 16]);
    for (to, from) in both.iter_mut().zip(key.iter().chain(key)) {
        *to = *from;
    }
    both
}

struct Reader<'a> {
    tmk: &'a Tmk,
    rest: &'a [u8],
    length: usize,
}

impl Reader<'_> {
    fn single(&mut self, name: KeyName, unused: usize) -> Result<Zeroizing<[u8; 8]>, KeyBlockError> {
        let mut blocks = Zeroizing::new([self.take::<8>()?]);
        tdes::decrypt2(&self.tmk.0, blocks.as_mut());
        let [key] = *blocks;
        self.rest = self.rest.get(unused..).ok_or(KeyBlockError::Length(self.length))?;
        self.check(name, Kcv::of_single(&key))?;
        Ok(Zeroizing::new(key))
    }

    fn double(&mut self, name: KeyName) -> Result<Zeroizing<[u8; 16]>, KeyBlockError> {
        let mut blocks = Zeroizing::new([self.take::<8>()?, self.take::<8>()?]);
        tdes::decrypt2(&self.tmk.0, blocks.as_mut());
        let mut key = Zeroizing::new([0; 16]);
        for (to, from) in key.iter_mut().zip(blocks.as_flattened()) {
            *to = *from;
        }
        self.check(name, Kcv::of_double(&key))?;
        Ok(key)
    }

    fn check(&mut self, key: KeyName, found: Kcv) -> Result<(), KeyBlockError> {
        let expected = Kcv(self.take()?);
        if expected == found { Ok(()) } else { Err(KeyBlockError::CheckValue { key, expected, found }) }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], KeyBlockError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(KeyBlockError::Length(self.length))?;
        self.rest = rest;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// unionpay.md Appendix B, dump D16 (60.3 = 004).
    const D16: &str = "950973182317F80B950973182317F80B00962B60\
                       F679786E2411E3DE0000000000000000ADC67D84\
                       A0C45C59F1E549BBA0C45C59F1E549BBE2F24340";
    /// unionpay.md Appendix B, dump D3 (60.3 = 003).
    const D3: &str = "46F161A743497B32EAC760DF5EA57DF5900ECCE3\
                      977731A7EA402DDF0000000000000000CFF1592A";
    const D3_TMK: &str = "258FB0AB70D025CDB99DF2C4D302D646";

    #[test]
    fn the_sixty_byte_block_of_a_real_host_opens_and_wraps_to_the_same_bytes() {
        let tmk = Tmk::new([0x11; 16]);
        let block = hex::decode(D16).unwrap();
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        assert_eq!(keys.pik, [0x22; 16]);
        assert_eq!(keys.mak, [0x33; 8]);
        assert_eq!(keys.tdk, Some([0x44; 16]));
        assert_eq!(wrap_working_keys(&tmk, &keys), block);
    }

    #[test]
    fn the_forty_byte_block_of_a_real_terminal_dump_opens_and_wraps_to_the_same_bytes() {
        let tmk = Tmk::from_hex(D3_TMK).unwrap();
        let block = hex::decode(D3).unwrap();
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        assert_eq!(hex::encode_upper(keys.pik), "D931648F3DE313A4A22C15DCA4F4299E");
        assert_eq!(hex::encode_upper(keys.mak), "AB7C577CC7A18045");
        assert_eq!(keys.tdk, None);
        assert_eq!(wrap_working_keys(&tmk, &keys), block);
    }

    #[test]
    fn a_twenty_four_byte_block_gives_single_length_keys() {
        let tmk = Tmk::new([0x11; 16]);
        let block = hex::decode("950973182317F80B00962B60F679786E2411E3DEADC67D84").unwrap();
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        assert_eq!((keys.pik, keys.mak, keys.tdk), ([0x22; 16], [0x33; 8], None));
    }

    #[test]
    fn a_block_of_every_form_opens_to_the_keys_that_it_was_made_for() {
        let tmk = Tmk::generate();
        for (code, bytes) in [("001", 24), ("003", 40), ("004", 60)] {
            let form = KeyBlockForm::of_code(code).unwrap();
            let keys = form.generate();
            let block = form.wrap(&tmk, &keys);
            assert_eq!(block.len(), bytes);
            assert_eq!(unwrap_working_keys(&tmk, &block).unwrap(), keys, "{code}");
        }
        assert_eq!(KeyBlockForm::of_code("005"), None);
    }

    #[test]
    fn the_single_length_block_wraps_to_the_same_bytes() {
        let tmk = Tmk::new([0x11; 16]);
        let block = hex::decode("950973182317F80B00962B60F679786E2411E3DEADC67D84").unwrap();
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        assert_eq!(KeyBlockForm::Single.wrap(&tmk, &keys), block);
    }

    #[test]
    fn one_wrong_check_value_refuses_the_whole_block_and_names_the_key() {
        let tmk = Tmk::new([0x11; 16]);
        for (at, name) in
            [(0, "PIN key"), (19, "PIN key"), (20, "MAC key"), (39, "MAC key"), (45, "track key")]
        {
            let mut block = hex::decode(D16).unwrap();
            block[at] ^= 0xFF;
            let error = unwrap_working_keys(&tmk, &block).unwrap_err();
            assert!(error.to_string().contains(name), "byte {at}: {error}");
        }
    }

    #[test]
    fn the_unused_half_of_the_mac_key_may_hold_anything() {
        let mut block = hex::decode(D3).unwrap();
        block[28..36].copy_from_slice(&[0xAB; 8]);
        assert!(unwrap_working_keys(&Tmk::from_hex(D3_TMK).unwrap(), &block).is_ok());
    }

    #[test]
    fn another_master_key_opens_nothing() {
        let block = wrap_working_keys(&Tmk::new([1; 16]), &WorkingKeys::generate(true));
        assert!(matches!(
            unwrap_working_keys(&Tmk::new([2; 16]), &block),
            Err(KeyBlockError::CheckValue { key: KeyName::Pik, .. })
        ));
    }

    #[test]
    fn every_other_length_is_refused() {
        let tmk = Tmk::generate();
        let in_use = [24, 40, 50, 56, 60, 75, 84, 104];
        for length in (0..130).filter(|length| !in_use.contains(length)) {
            assert_eq!(unwrap_working_keys(&tmk, &vec![0; length]), Err(KeyBlockError::Length(length)));
        }
    }

    #[test]
    fn a_layout_that_nobody_has_settled_is_refused_with_what_to_do_instead() {
        for length in [50, 56, 75, 84, 104] {
            let error = unwrap_working_keys(&Tmk::generate(), &vec![0; length]).unwrap_err();
            assert_eq!(error, KeyBlockError::Unsettled(length));
            assert!(error.to_string().contains("sign on with DE60.3 = 003 or 004"), "{error}");
        }
    }

    // unionpay.md §4.1: the MAC key's field is eight bytes and zeros, or the key repeated; its check
    // value is the single-length key's, which is also that of the key repeated.
    #[test]
    fn a_mac_key_sent_twice_is_the_same_key() {
        let mut block = hex::decode(D16).unwrap();
        let first = block[20..28].to_vec();
        block[28..36].copy_from_slice(&first);
        assert_eq!(unwrap_working_keys(&Tmk::new([0x11; 16]), &block).unwrap().mak, [0x33; 8]);
    }

    /// unionpay.md Appendix B, vector B: the MAC key under the terminal master key.
    #[test]
    fn the_mac_key_of_vector_b_opens_out_of_a_single_length_block() {
        let tmk = Tmk::from_hex("70F2A84CCBC2AE8625CBB0F2C22AB923").unwrap();
        let mak = hex::decode("C24A8FB57AA20123").unwrap();
        let mut block = vec![0; 8];
        let mut pik = [[0; 8]];
        tdes::decrypt2(&tmk.0, &mut pik);
        block.extend_from_slice(&Kcv::of_single(&pik[0]).0);
        block.extend_from_slice(&hex::decode("96D605EA176B7E9E").unwrap());
        block.extend_from_slice(&Kcv::of_des(&mak).unwrap().0);
        let keys = unwrap_working_keys(&tmk, &block).unwrap();
        assert_eq!(keys.mak.as_slice(), mak);
        let key = keys.mac_key(MacAlgorithm::UnionPayEcb).unwrap();
        assert_eq!(Some(key.check_value()), Kcv::of_des(&mak));
        let error = keys.mac_key(MacAlgorithm::X9_19).unwrap_err().to_string();
        assert_eq!(error, "a key for x9.19 has 16 bytes, not 8");
    }

    #[test]
    fn debug_output_shows_check_values_only() {
        let tmk = Tmk::new([0x11; 16]);
        let keys = unwrap_working_keys(&tmk, &hex::decode(D16).unwrap()).unwrap();
        let shown = format!("{tmk:?} {keys:?}").to_lowercase();
        assert!(!shown.contains("1111") && !shown.contains("2222") && !shown.contains("34, 34"));
    }
}
