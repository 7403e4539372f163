//! The `.tmsfw` file: `TMSFW1\n` ‖ envelope length (4 bytes, big-endian) ‖ envelope JSON ‖ image.
//!
//! The envelope stands in front, so that a reader knows size, hash and signatures before the first
//! byte of the image and never holds more than one buffer of it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tms_crypto::Sha256;

use crate::{
    envelope::{Envelope, MAX_ENVELOPE_BYTES, VerifiedManifest},
    error::FirmwareError,
    manifest::{Draft, MAX_IMAGE_BYTES},
    signing::SigningKey,
};

/// First bytes of a package.
pub const MAGIC: &[u8; 7] = b"TMSFW1\n";
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes a package: reads the image once for its hash, signs, and reads it again to copy it.
///
/// # Errors
/// [`FirmwareError::Manifest`] for a draft out of bounds or an empty image, [`FirmwareError::Io`],
/// and [`FirmwareError::HashMismatch`] when the image changed between the two readings.
pub fn build_package(
    draft: Draft,
    image: &mut (impl Read + Seek),
    keys: &[SigningKey],
    out: &mut impl Write,
) -> Result<Envelope, FirmwareError> {
    image.seek(SeekFrom::Start(0))?;
    let (size_bytes, sha256) = copy_hashed(image, &mut io::sink(), MAX_IMAGE_BYTES)?;
    let envelope = Envelope::sign(&draft.complete(size_bytes, sha256)?, keys)?;
    let json = envelope.to_json()?;
    // The envelope is at most MAX_ENVELOPE_BYTES, so its length fits 32 bits.
    out.write_all(MAGIC)?;
    out.write_all(&(json.len() as u32).to_be_bytes())?;
    out.write_all(json.as_bytes())?;
    image.seek(SeekFrom::Start(0))?;
    let (_, copied) = copy_hashed(image, out, size_bytes)?;
    check_hash(&sha256, &copied)?;
    out.flush()?;
    Ok(envelope)
}

/// A package whose envelope was read and whose image comes next.
#[derive(Debug)]
pub struct PackageReader<R> {
    envelope: Envelope,
    rest: R,
}

impl<R: Read> PackageReader<R> {
    /// Reads magic and envelope. Nothing is verified yet.
    ///
    /// # Errors
    /// [`FirmwareError::NotAPackage`], [`FirmwareError::Truncated`], [`FirmwareError::EnvelopeTooLarge`],
    /// [`FirmwareError::Envelope`] or [`FirmwareError::Io`].
    pub fn open(mut reader: R) -> Result<Self, FirmwareError> {
        let magic = read_part(&mut reader, "magic", MAGIC.len())?;
        if magic != MAGIC {
            return Err(FirmwareError::NotAPackage);
        }
        let length = read_part(&mut reader, "envelope length", 4)?;
        let length = length.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
        if length > MAX_ENVELOPE_BYTES {
            return Err(FirmwareError::EnvelopeTooLarge {
                found: length as u64,
                max: MAX_ENVELOPE_BYTES as u64,
            });
        }
        let envelope = Envelope::from_json(&read_part(&mut reader, "envelope", length)?)?;
        Ok(Self { envelope, rest: reader })
    }

    /// The envelope, to be verified before anything else.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Copies the image to `out` and returns its size. On any error what was written is worthless.
    ///
    /// # Errors
    /// [`FirmwareError::Truncated`], [`FirmwareError::TrailingBytes`], [`FirmwareError::HashMismatch`]
    /// or [`FirmwareError::Io`].
    pub fn copy_image(
        mut self,
        verified: &VerifiedManifest,
        out: &mut impl Write,
    ) -> Result<u64, FirmwareError> {
        let manifest = verified.manifest();
        let (found, sha256) = copy_hashed(&mut self.rest, out, manifest.size_bytes)?;
        if found < manifest.size_bytes {
            return Err(FirmwareError::Truncated { part: "image", expected: manifest.size_bytes, found });
        }
        if self.rest.read(&mut [0])? > 0 {
            return Err(FirmwareError::TrailingBytes(manifest.size_bytes));
        }
        check_hash(&manifest.sha256, &sha256)?;
        out.flush()?;
        Ok(found)
    }
}

fn check_hash(expected: &[u8; 32], found: &[u8; 32]) -> Result<(), FirmwareError> {
    if expected == found {
        return Ok(());
    }
    Err(FirmwareError::HashMismatch { expected: hex::encode(expected), found: hex::encode(found) })
}

fn read_part(reader: &mut impl Read, part: &'static str, length: usize) -> Result<Vec<u8>, FirmwareError> {
    let mut bytes = Vec::new();
    reader.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(FirmwareError::Truncated { part, expected: length as u64, found: bytes.len() as u64 });
    }
    Ok(bytes)
}

fn copy_hashed(
    from: &mut impl Read,
    to: &mut impl Write,
    max: u64,
) -> Result<(u64, [u8; 32]), FirmwareError> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0_u64;
    let mut limited = from.take(max);
    loop {
        let length = match limited.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(piece) = buffer.get(..length).filter(|piece| !piece.is_empty()) else {
            return Ok((total, hash.finish()));
        };
        hash.update(piece);
        to.write_all(piece)?;
        total = total.saturating_add(length as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::trust::TrustRoot;

    fn package(image: &[u8]) -> (Vec<u8>, TrustRoot) {
        let key = SigningKey::generate().unwrap();
        let root = TrustRoot::new(vec![key.public()], 1).unwrap();
        let draft = Draft { vendor: "Example".into(), models: vec!["SIM-8".into()], ..Draft::default() };
        let mut out = Vec::new();
        build_package(draft, &mut Cursor::new(image), &[key], &mut out).unwrap();
        (out, root)
    }

    fn read(bytes: &[u8], root: &TrustRoot) -> Result<Vec<u8>, FirmwareError> {
        let reader = PackageReader::open(bytes)?;
        let manifest = reader.envelope().verify(root)?;
        let mut image = Vec::new();
        reader.copy_image(&manifest, &mut image)?;
        Ok(image)
    }

    #[test]
    fn the_image_comes_out_as_it_went_in() {
        let image = b"0123456789".repeat(20_000);
        let (package, root) = package(&image);
        assert_eq!(read(&package, &root).unwrap(), image);
    }

    #[test]
    fn a_package_cut_anywhere_says_that_it_is_truncated() {
        let (package, root) = package(b"image");
        for length in 0..package.len() {
            let error = read(&package[..length], &root).unwrap_err();
            assert!(matches!(error, FirmwareError::Truncated { .. }), "length {length}: {error}");
        }
    }

    #[test]
    fn a_changed_image_a_longer_one_and_another_file_each_have_their_own_error() {
        let (package, root) = package(b"image");
        let mut changed = package.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(matches!(read(&changed, &root), Err(FirmwareError::HashMismatch { .. })));
        let longer = [package.as_slice(), b"x"].concat();
        assert!(matches!(read(&longer, &root), Err(FirmwareError::TrailingBytes(5))));
        assert!(matches!(read(b"\x7fELF\x02\x01\x01\x00", &root), Err(FirmwareError::NotAPackage)));
    }

    #[test]
    fn a_claimed_envelope_over_the_limit_is_refused_before_it_is_read() {
        let mut endless =
            Cursor::new([MAGIC.as_slice(), &u32::MAX.to_be_bytes()].concat()).chain(io::repeat(b' '));
        assert!(matches!(PackageReader::open(&mut endless), Err(FirmwareError::EnvelopeTooLarge { .. })));
    }

    #[test]
    fn a_package_signed_by_a_stranger_is_not_read() {
        let (package, _) = package(b"image");
        let (_, other_root) = self::package(b"image");
        assert!(matches!(read(&package, &other_root), Err(FirmwareError::NotEnoughSignatures { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_after_the_magic_are_an_error(bytes: Vec<u8>) {
            let (_, root) = package(b"image");
            prop_assert!(read(&bytes, &root).is_err());
            prop_assert!(read(&[MAGIC.as_slice(), &bytes].concat(), &root).is_err());
        }
    }

    #[test]
    fn an_empty_image_is_not_packed() {
        let draft = Draft { vendor: "Example".into(), models: vec!["SIM-8".into()], ..Draft::default() };
        let error = build_package(draft, &mut Cursor::new(b""), &[], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("size_bytes"));
    }
}
