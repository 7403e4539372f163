//! The codes themselves, whole, over data that lies in memory.

use aws_lc_rs::cmac;
use cbc_mac::{CbcMac, KeyInit, Mac};
use des::{Des, TdesEde2, TdesEde3};
use retail_mac::RetailMac;
use sm4::{Sm4, cipher::BlockCipherEncrypt};

use super::{Code, MacAlgorithm, MacError};
use crate::tdes::AnyDes;

/// First byte of padding method 2; the zeros that fill up follow by themselves.
const PAD2: &[u8] = &[0x80];

/// A key made ready: deriving the rounds of DES from it takes longer than a short message does. Each is wiped
/// when it is dropped, the working copies of a computation too.
pub(super) enum Prepared {
    UnionPayEcb(AnyDes),
    UnionPaySm4(Sm4),
    CbcDes(CbcMac<Des>),
    CbcDouble(CbcMac<TdesEde2>),
    CbcTriple(CbcMac<TdesEde3>),
    Retail(RetailMac<Des>),
    CbcSm4(CbcMac<Sm4>),
    AesCmac(cmac::Key),
}

impl Prepared {
    /// `None` for a key of a length that the algorithm does not take, or when the library fails.
    pub(super) fn new(algorithm: MacAlgorithm, key: &[u8]) -> Option<Self> {
        match algorithm {
            MacAlgorithm::UnionPayEcb => AnyDes::new(key).map(Self::UnionPayEcb),
            MacAlgorithm::UnionPaySm4 => Sm4::new_from_slice(key).ok().map(Self::UnionPaySm4),
            MacAlgorithm::X9_9 | MacAlgorithm::Iso9797Alg1Pad1 | MacAlgorithm::Iso9797Alg1Pad2 => {
                match key.len() {
                    8 => CbcMac::new_from_slice(key).ok().map(Self::CbcDes),
                    16 => CbcMac::new_from_slice(key).ok().map(Self::CbcDouble),
                    _ => CbcMac::new_from_slice(key).ok().map(Self::CbcTriple),
                }
            }
            // The library splits a key of any length in two.
            MacAlgorithm::X9_19 | MacAlgorithm::Iso9797Alg3Pad1 | MacAlgorithm::Iso9797Alg3Pad2 => {
                (key.len() == 16).then(|| RetailMac::new_from_slice(key).ok().map(Self::Retail))?
            }
            MacAlgorithm::Sm4Cbc => CbcMac::new_from_slice(key).ok().map(Self::CbcSm4),
            MacAlgorithm::AesCmac => aes_cmac_key(key).map(Self::AesCmac),
        }
    }

    /// The whole code of `algorithm`, for which this was made: 8 bytes of the DES family, 16 of the others.
    pub(super) fn whole(&self, algorithm: MacAlgorithm, data: &[u8]) -> Result<Code, MacError> {
        if data.is_empty() && !algorithm.takes_no_data() {
            return Err(MacError::NoData(algorithm));
        }
        let padding: &[u8] = match algorithm {
            MacAlgorithm::Iso9797Alg1Pad2 | MacAlgorithm::Iso9797Alg3Pad2 => PAD2,
            _ => &[],
        };
        Ok(match self {
            Self::UnionPayEcb(cipher) => Code::new(&unionpay_ecb(cipher, data).last),
            Self::UnionPaySm4(cipher) => Code::new(&unionpay_sm4(cipher, data).last),
            Self::CbcDes(mac) => tag(mac, data, padding),
            Self::CbcDouble(mac) => tag(mac, data, padding),
            Self::CbcTriple(mac) => tag(mac, data, padding),
            Self::Retail(mac) => tag(mac, data, padding),
            Self::CbcSm4(mac) => tag(mac, data, padding),
            Self::AesCmac(key) => Code::new(cmac::sign(key, data).map_err(|_| MacError::Library)?.as_ref()),
        })
    }
}

/// AES-CMAC with a key of 16, 24 or 32 bytes.
pub(crate) fn aes_cmac(key: &[u8], data: &[u8]) -> Result<Code, MacError> {
    let key = aes_cmac_key(key).ok_or(MacError::Library)?;
    Ok(Code::new(cmac::sign(&key, data).map_err(|_| MacError::Library)?.as_ref()))
}

fn aes_cmac_key(key: &[u8]) -> Option<cmac::Key> {
    let algorithm = match key.len() {
        16 => cmac::AES_128,
        24 => cmac::AES_192,
        _ => cmac::AES_256,
    };
    cmac::Key::new(algorithm, key).ok()
}

fn tag<M: Mac + Clone>(prepared: &M, data: &[u8], padding: &[u8]) -> Code {
    let mut mac = prepared.clone();
    mac.update(data);
    mac.update(padding);
    Code::new(&mac.finalize().into_bytes())
}

pub(super) fn unionpay_ecb(cipher: &AnyDes, data: &[u8]) -> Steps<8> {
    Steps::over(data, |block| cipher.encrypt(block))
}

pub(super) fn unionpay_sm4(cipher: &Sm4, data: &[u8]) -> Steps<16> {
    Steps::over(data, |block| cipher.encrypt_block(block.into()))
}

/// The steps of the UnionPay shape over blocks of `N` bytes (unionpay.md §5.1 and §5.3), each kept
/// so that the vectors can be compared step by step.
#[cfg_attr(not(test), expect(dead_code, reason = "only the vectors look at the steps before the last"))]
pub(super) struct Steps<const N: usize> {
    /// All blocks XORed, the last filled up with zeros.
    pub(super) folded: [u8; N],
    /// The first half of `folded` in hexadecimal characters, encrypted.
    pub(super) first: [u8; N],
    /// `first` XORed with the second half.
    pub(super) mixed: [u8; N],
    /// `mixed` encrypted: the code.
    pub(super) last: [u8; N],
}

impl<const N: usize> Steps<N> {
    fn over(data: &[u8], encrypt: impl Fn(&mut [u8; N])) -> Self {
        let mut folded = [0; N];
        for block in data.chunks(N) {
            xor(&mut folded, block);
        }
        let (left, right) = folded.split_at(N / 2);
        let mut first = hexadecimal(left);
        encrypt(&mut first);
        let mut mixed = first;
        xor(&mut mixed, &hexadecimal::<N>(right));
        let mut last = mixed;
        encrypt(&mut last);
        Self { folded, first, mixed, last }
    }
}

/// The upper-case characters of `N / 2` bytes.
fn hexadecimal<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut characters = [0; N];
    // `N` is even and `bytes` half as long.
    let _ = hex::encode_to_slice(bytes, &mut characters);
    characters.make_ascii_uppercase();
    characters
}

fn xor<const N: usize>(into: &mut [u8; N], with: &[u8]) {
    for (to, from) in into.iter_mut().zip(with) {
        *to ^= from;
    }
}
