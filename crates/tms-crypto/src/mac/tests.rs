use proptest::prelude::*;
use sm4::{
    Sm4,
    cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit},
};

use super::{compute, *};
use crate::tdes::AnyDes;

/// unionpay.md Appendix B, vector B: the data between MTI and DE64 of a UnionPay purchase.
const B_DATA: &str = "0200302004C020C0981100000000000000005100183402100006324392260009942820D1312101120084393136363838303134303030303030303030303030303031313536ACF46E73838A82F92600000000000000000822000001";
const B_MAK: &str = "C24A8FB57AA20123";
const SM4_KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn key(algorithm: MacAlgorithm, hex: &str) -> MacKey {
    MacKey::from_hex(algorithm, hex).unwrap()
}

fn whole(algorithm: MacAlgorithm, key_hex: &str, data: &[u8]) -> String {
    hex::encode_upper(key(algorithm, key_hex).whole(data).unwrap())
}

#[test]
fn vector_b_of_the_unionpay_mac_comes_out_at_every_step() {
    let steps = compute::unionpay_ecb(&AnyDes::new(&bytes(B_MAK)).unwrap(), &bytes(B_DATA));
    assert_eq!(hex::encode_upper(steps.folded), "4D08F434464FE7BF");
    assert_eq!(hex::encode_upper(steps.first), "6A4DF084B6D23759");
    assert_eq!(hex::encode_upper(steps.mixed), "5E7BC4C2F3E5751F");
    assert_eq!(hex::encode_upper(steps.last), "8A9E91B88D839AC5");
    let key = key(MacAlgorithm::UnionPayEcb, B_MAK);
    assert_eq!(hex::encode(key.sign(MacForm::Hex8, &bytes(B_DATA)).unwrap()), "3841394539314238");
    assert_eq!(hex::encode(key.sign(MacForm::Bytes4, &bytes(B_DATA)).unwrap()), "8a9e91b8");
    assert_eq!(hex::encode(key.sign(MacForm::Bytes8, &bytes(B_DATA)).unwrap()), "8a9e91b88d839ac5");
}

#[test]
fn a_unionpay_mac_key_repeated_two_or_three_times_is_the_single_key() {
    let single = whole(MacAlgorithm::UnionPayEcb, B_MAK, &bytes(B_DATA));
    for times in [2, 3] {
        assert_eq!(whole(MacAlgorithm::UnionPayEcb, &B_MAK.repeat(times), &bytes(B_DATA)), single);
    }
    assert_ne!(whole(MacAlgorithm::UnionPayEcb, SM4_KEY, &bytes(B_DATA)), single);
}

#[test]
fn both_x9_19_vectors_come_out() {
    let key_hex = "46B0AA84C9AB2CC87FBD7C736E515C06";
    assert_eq!(whole(MacAlgorithm::X9_19, key_hex, &bytes("121234FF")), "C17E5FB74EAD74B8");
    assert_eq!(whole(MacAlgorithm::X9_19, key_hex, &bytes("121234FF121234FF")), "B55B59567EFF9530");
    let de64 = key(MacAlgorithm::X9_19, key_hex).sign(MacForm::Hex8, &bytes("121234FF")).unwrap();
    assert_eq!(hex::encode(de64), "4331374535464237");
}

#[test]
fn both_sm4_vectors_come_out_the_first_at_every_step() {
    let steps = compute::unionpay_sm4(&Sm4::new_from_slice(&bytes(SM4_KEY)).unwrap(), &bytes(B_DATA));
    assert_eq!(hex::encode_upper(steps.folded), "962844F42B49EFBEDB20B0C06D060801");
    assert_eq!(hex::encode_upper(steps.first), "E8E21CF2A9EB5B3AD2AEB22EA9BC731F");
    assert_eq!(hex::encode_upper(steps.last), "D0656CDC7A9D002263671B6D8DF5DACA");
    let de64 = key(MacAlgorithm::UnionPaySm4, SM4_KEY).sign(MacForm::Hex8, &bytes(B_DATA)).unwrap();
    assert_eq!(*de64, *b"D0656CDC");

    let data = b"PCK1209339432640F07BEC962141300010024402220516956";
    let mac = whole(MacAlgorithm::Sm4Cbc, "C5945F5BDF1E2DD83C6BFCA9699975F3", data);
    assert_eq!(mac, "55BD7EFE36472A824105C55A5126AE60");
}

// GB/T 32907-2016, Appendix A: one block, and a million times over.
#[test]
fn the_sm4_beneath_is_the_one_of_the_standard() {
    let key: [u8; 16] = *bytes(SM4_KEY).first_chunk().unwrap();
    let cipher = Sm4::new(&Array(key));
    let mut block = Array(key);
    cipher.encrypt_block(&mut block);
    assert_eq!(hex::encode(block), "681edf34d206965e86b3e94f536e4246");
    cipher.decrypt_block(&mut block);
    assert_eq!(block.0, key);
    for _ in 0..1_000_000 {
        cipher.encrypt_block(&mut block);
    }
    assert_eq!(hex::encode(block), "595298c7c6fd271f0402f804c33d3f66");
}

// FIPS 113, Appendix 2, which is also the worked example of X9.9.
#[test]
fn the_data_authentication_example_of_fips_113_comes_out() {
    let mac = whole(MacAlgorithm::X9_9, "0123456789ABCDEF", b"7654321 Now is the time for ");
    assert_eq!(mac, "F1D30F6849312CA4");
}

// ISO/IEC 9797-1:2011, Annex B (B.2 and B.4): data strings 1 and 2, paddings 1 and 2.
#[test]
fn the_examples_of_iso_9797_1_come_out() {
    let (one, two) = (b"Now is the time for all ".as_slice(), b"Now is the time for it".as_slice());
    let k = "0123456789ABCDEF";
    for (algorithm, data, mac) in [
        (MacAlgorithm::Iso9797Alg1Pad1, one, "70A30640"),
        (MacAlgorithm::Iso9797Alg1Pad2, one, "10E1F0F1"),
        (MacAlgorithm::Iso9797Alg1Pad1, two, "E45B3AD2"),
        (MacAlgorithm::Iso9797Alg1Pad2, two, "A924C721"),
    ] {
        assert_eq!(whole(algorithm, k, data)[..8], *mac, "{algorithm}");
    }
    let both = "0123456789ABCDEFFEDCBA9876543210";
    for (algorithm, data, mac) in [
        (MacAlgorithm::Iso9797Alg3Pad1, one, "A1C72E74EA3FA9B6"),
        (MacAlgorithm::X9_19, one, "A1C72E74EA3FA9B6"),
        (MacAlgorithm::Iso9797Alg3Pad2, one, "E9086230CA3BE796"),
        (MacAlgorithm::Iso9797Alg3Pad1, two, "2E2B1428CC78254F"),
        (MacAlgorithm::Iso9797Alg3Pad2, two, "5A692CE64F404145"),
    ] {
        assert_eq!(whole(algorithm, both, data), mac, "{algorithm}");
    }
}

// The last block of OpenSSL 3.0's des-ede-cbc and des-ede3-cbc over the data and two zero bytes.
#[test]
fn algorithm_1_over_triple_des_agrees_with_another_implementation() {
    let data = b"Now is the time for it";
    let double = "0123456789ABCDEFFEDCBA9876543210";
    assert_eq!(whole(MacAlgorithm::Iso9797Alg1Pad1, double, data), "9A23873ACC66738F");
    let triple = "0123456789ABCDEFFEDCBA987654321089ABCDEF01234567";
    assert_eq!(whole(MacAlgorithm::Iso9797Alg1Pad1, triple, data), "0BDC3636E02830E0");
}

const CMAC_DATA: &str = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
                         30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";

// RFC 4493, Section 4, all four.
#[test]
fn the_four_examples_of_rfc_4493_come_out() {
    for (length, mac) in [
        (0, "BB1D6929E95937287FA37D129B756746"),
        (16, "070A16B46B4D4144F79BDD9DD04A287C"),
        (40, "DFA66747DE9AE63030CA32611497C827"),
        (64, "51F0BEBF7E3B9D92FC49741779363CFE"),
    ] {
        let data = &bytes(CMAC_DATA)[..length];
        assert_eq!(whole(MacAlgorithm::AesCmac, "2b7e151628aed2a6abf7158809cf4f3c", data), mac);
    }
}

// NIST SP 800-38B, Appendix D.2 and D.3.
#[test]
fn the_long_keys_of_sp_800_38b_come_out() {
    let aes192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b";
    let aes256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    for (key_hex, length, mac) in [
        (aes192, 0, "D17DDF46ADAACDE531CAC483DE7A9367"),
        (aes192, 16, "9E99A7BF31E710900662F65E617C5184"),
        (aes192, 40, "8A1DE5BE2EB31AAD089A82E6EE908B0E"),
        (aes192, 64, "A1D5DF0EED790F794D77589659F39A11"),
        (aes256, 0, "028962F61B7BF89EFC6B551F4667D983"),
        (aes256, 16, "28A7023F452E8F82BD4BF28D8C37C35C"),
        (aes256, 40, "AAF3D8F1DE5640C232F5B169B9C911E6"),
        (aes256, 64, "E1992190549F6ED5696A2C056C315410"),
    ] {
        assert_eq!(whole(MacAlgorithm::AesCmac, key_hex, &bytes(CMAC_DATA)[..length]), mac);
    }
}

#[test]
fn a_key_of_another_length_is_refused_with_the_lengths_that_fit() {
    for algorithm in MacAlgorithm::ALL {
        for length in 0..40 {
            let made = MacKey::new(algorithm, &vec![7; length]);
            assert_eq!(made.is_ok(), algorithm.key_lengths().contains(&length), "{algorithm} {length}");
        }
    }
    let error = MacKey::new(MacAlgorithm::AesCmac, &[7; 8]).unwrap_err().to_string();
    assert_eq!(error, "a key for aes-cmac has 16 or 24 or 32 bytes, not 8");
    let error = MacKey::from_hex(MacAlgorithm::X9_9, "0123456789ABCDEZ").unwrap_err();
    assert_eq!(error, MacKeyError::Hex);
    assert!(!error.to_string().contains("ABCDE"));
}

#[test]
fn parity_bits_of_a_des_key_change_nothing_and_are_not_asked_for() {
    let (odd, even) = (bytes(B_MAK), bytes(B_MAK).iter().map(|b| b ^ 1).collect::<Vec<_>>());
    for algorithm in [MacAlgorithm::UnionPayEcb, MacAlgorithm::X9_9, MacAlgorithm::Iso9797Alg1Pad2] {
        let [one, other] = [&odd, &even].map(|key| MacKey::new(algorithm, key).unwrap());
        assert_eq!(one.whole(b"data"), other.whole(b"data"));
        assert_eq!(one.check_value(), other.check_value());
    }
}

#[test]
fn no_data_is_an_error_where_the_algorithm_has_nothing_to_say_about_it() {
    for algorithm in MacAlgorithm::ALL {
        let key = MacKey::new(algorithm, &vec![7; algorithm.key_lengths()[0]]).unwrap();
        match key.sign(MacForm::Bytes8, b"") {
            Ok(_) => assert!(matches!(
                algorithm,
                MacAlgorithm::AesCmac | MacAlgorithm::Iso9797Alg1Pad2 | MacAlgorithm::Iso9797Alg3Pad2
            )),
            Err(error) => assert_eq!(error, MacError::NoData(algorithm)),
        }
    }
}

#[test]
fn a_mac_of_another_length_is_refused_whatever_it_begins_with() {
    let key = key(MacAlgorithm::UnionPayEcb, B_MAK);
    let data = bytes(B_DATA);
    let mac = key.sign(MacForm::Bytes8, &data).unwrap();
    for length in 0..8 {
        let error = key.verify(MacForm::Bytes8, &data, &mac[..length]).unwrap_err();
        assert_eq!(error, MacError::Length { form: MacForm::Bytes8, found: length });
    }
    assert!(key.verify(MacForm::Bytes4, &data, &mac).is_err());
    assert!(key.verify(MacForm::Bytes4, &data, &mac[..4]).is_ok());
    assert!(key.verify(MacForm::Hex8, &data, &key.sign(MacForm::Hex8, &data).unwrap()).is_ok());
    assert!(key.verify(MacForm::Hex8, &data, b"8a9e91b8").is_err(), "the characters are upper case");
}

#[test]
fn debug_output_shows_check_values_and_lengths_only() {
    let key = key(MacAlgorithm::UnionPayEcb, "3333333333333333");
    assert_eq!(format!("{key:?}"), "MacKey(unionpay-ecb, kcv ADC67D84)");
    let mac = key.sign(MacForm::Bytes8, b"data").unwrap();
    assert_eq!(format!("{:?}", key.verify(MacForm::Bytes8, b"data", &mac).unwrap()), "MacVerified(4 bytes)");
}

/// Whether two keys that differ in this bit are different keys.
fn counts(algorithm: MacAlgorithm, bit: usize) -> bool {
    let des = !matches!(algorithm, MacAlgorithm::AesCmac | MacAlgorithm::UnionPaySm4 | MacAlgorithm::Sm4Cbc);
    !(des && bit.is_multiple_of(8))
}

prop_compose! {
    fn algorithm_and_key()(
        index in any::<prop::sample::Index>(), length in any::<prop::sample::Index>(), key in any::<[u8; 32]>()
    ) -> (MacAlgorithm, Vec<u8>) {
        let algorithm = *index.get(&MacAlgorithm::ALL);
        (algorithm, key[..*length.get(algorithm.key_lengths())].to_vec())
    }
}

proptest! {
    #[test]
    fn a_right_mac_proves_its_data_and_any_changed_bit_is_refused(
        (algorithm, key_bytes) in algorithm_and_key(),
        form in prop::sample::select(&MacForm::ALL),
        data in prop::collection::vec(any::<u8>(), 1..200),
        in_data in any::<prop::sample::Index>(),
        in_mac in any::<prop::sample::Index>(),
        in_key in any::<prop::sample::Index>(),
    ) {
        let key = MacKey::new(algorithm, &key_bytes).unwrap();
        let mac = key.sign(form, &data).unwrap();
        prop_assert_eq!(key.verify(form, &data, &mac).unwrap().data(), &data[..]);

        let flip = |bytes: &[u8], bit: usize| {
            let mut changed = bytes.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            changed
        };
        let changed = flip(&data, in_data.index(data.len() * 8));
        prop_assert_eq!(key.verify(form, &changed, &mac), Err(MacError::Mismatch));
        let changed = flip(&mac, in_mac.index(mac.len() * 8));
        prop_assert_eq!(key.verify(form, &data, &changed), Err(MacError::Mismatch));
        let bit = in_key.index(key_bytes.len() * 8);
        if counts(algorithm, bit) {
            let other = MacKey::new(algorithm, &flip(&key_bytes, bit)).unwrap();
            prop_assert_eq!(other.verify(form, &data, &mac), Err(MacError::Mismatch));
        }
    }

    #[test]
    fn the_two_paddings_give_two_codes(data in prop::collection::vec(any::<u8>(), 1..64), key: [u8; 16]) {
        for (one, two) in [
            (MacAlgorithm::Iso9797Alg1Pad1, MacAlgorithm::Iso9797Alg1Pad2),
            (MacAlgorithm::Iso9797Alg3Pad1, MacAlgorithm::Iso9797Alg3Pad2),
        ] {
            let [one, two] = [one, two].map(|a| MacKey::new(a, &key).unwrap().whole(&data).unwrap());
            prop_assert_ne!(one, two);
        }
    }

    // What padding 2 is for: with zeros alone, data that ends in zeros has the code of data that does not.
    #[test]
    fn only_padding_2_and_cmac_notice_a_zero_byte_at_the_end(
        data in prop::collection::vec(any::<u8>(), 1..64),
        (algorithm, key) in algorithm_and_key(),
    ) {
        let key = MacKey::new(algorithm, &key).unwrap();
        let longer = [data.as_slice(), &[0]].concat();
        let block = if matches!(algorithm, MacAlgorithm::UnionPaySm4 | MacAlgorithm::Sm4Cbc) { 16 } else { 8 };
        let folds = matches!(algorithm, MacAlgorithm::UnionPayEcb | MacAlgorithm::UnionPaySm4);
        let blind = !algorithm.takes_no_data() && (folds || !data.len().is_multiple_of(block));
        prop_assert_eq!(key.whole(&data) == key.whole(&longer), blind);
    }

    #[test]
    fn any_bytes_as_key_mac_and_data_are_an_answer_and_never_a_panic(
        index in any::<prop::sample::Index>(), key: Vec<u8>, data: Vec<u8>, mac: Vec<u8>,
    ) {
        if let Ok(key) = MacKey::new(*index.get(&MacAlgorithm::ALL), &key) {
            let _ = key.verify(MacForm::Hex8, &data, &mac);
        }
    }
}
