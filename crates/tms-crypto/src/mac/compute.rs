//! The codes themselves, whole, over data that lies in memory.

use aws_lc_rs::cmac;
use cbc_mac::{CbcMac, KeyInit, Mac};
use des::{Des, TdesEde2, TdesEde3};
use retail_mac::RetailMac;
use sm4::{Sm4, cipher::BlockCipherEncrypt};

use super::{MacAlgorithm, MacError};
use crate::tdes::AnyDes;

/// First byte of padding method 2; the zeros that fill up follow by themselves.
const PAD2: &[u8] = &[0x80];

/// The whole code: 8 bytes of the DES family, 16 of the others.
pub(super) fn whole(algorithm: MacAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, MacError> {
    if data.is_empty() && !algorithm.takes_no_data() {
        return Err(MacError::NoData(algorithm));
    }
    match algorithm {
        MacAlgorithm::UnionPayEcb => Ok(unionpay_ecb(key, data)?.last.to_vec()),
        MacAlgorithm::UnionPaySm4 => Ok(unionpay_sm4(key, data)?.last.to_vec()),
        MacAlgorithm::X9_9 | MacAlgorithm::Iso9797Alg1Pad1 => cbc_des(key, data, &[]),
        MacAlgorithm::Iso9797Alg1Pad2 => cbc_des(key, data, PAD2),
        MacAlgorithm::X9_19 | MacAlgorithm::Iso9797Alg3Pad1 => tag::<RetailMac<Des>>(key, data, &[]),
        MacAlgorithm::Iso9797Alg3Pad2 => tag::<RetailMac<Des>>(key, data, PAD2),
        MacAlgorithm::Sm4Cbc => tag::<CbcMac<Sm4>>(key, data, &[]),
        MacAlgorithm::AesCmac => aes_cmac(key, data),
    }
}

/// AES-CMAC with a key of 16, 24 or 32 bytes.
pub(crate) fn aes_cmac(key: &[u8], data: &[u8]) -> Result<Vec<u8>, MacError> {
    let algorithm = match key.len() {
        16 => cmac::AES_128,
        24 => cmac::AES_192,
        _ => cmac::AES_256,
    };
    let key = cmac::Key::new(algorithm, key).map_err(|_| MacError::Library)?;
    Ok(cmac::sign(&key, data).map_err(|_| MacError::Library)?.as_ref().to_vec())
}

fn cbc_des(key: &[u8], data: &[u8], padding: &[u8]) -> Result<Vec<u8>, MacError> {
    match key.len() {
        8 => tag::<CbcMac<Des>>(key, data, padding),
        16 => tag::<CbcMac<TdesEde2>>(key, data, padding),
        _ => tag::<CbcMac<TdesEde3>>(key, data, padding),
    }
}

fn tag<M: Mac + KeyInit>(key: &[u8], data: &[u8], padding: &[u8]) -> Result<Vec<u8>, MacError> {
    let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|_| MacError::Library)?;
    mac.update(data);
    mac.update(padding);
    Ok(mac.finalize().into_bytes().to_vec())
}

pub(super) fn unionpay_ecb(key: &[u8], data: &[u8]) -> Result<Steps<8>, MacError> {
    let cipher = AnyDes::new(key).ok_or(MacError::Library)?;
    Ok(Steps::over(data, |block| cipher.encrypt(block)))
}

pub(super) fn unionpay_sm4(key: &[u8], data: &[u8]) -> Result<Steps<16>, MacError> {
    let cipher = Sm4::new_from_slice(key).map_err(|_| MacError::Library)?;
    Ok(Steps::over(data, |block| cipher.encrypt_block(block.into())))
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
        let characters = hex::encode_upper(folded);
        let (left, right) = characters.as_bytes().split_at(N);
        let mut first = [0; N];
        xor(&mut first, left);
        encrypt(&mut first);
        let mut mixed = first;
        xor(&mut mixed, right);
        let mut last = mixed;
        encrypt(&mut last);
        Self { folded, first, mixed, last }
    }
}

fn xor<const N: usize>(into: &mut [u8; N], with: &[u8]) {
    for (to, from) in into.iter_mut().zip(with) {
        *to ^= from;
    }
}
