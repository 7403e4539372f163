//! Signatures around a manifest, and the only way to a [`VerifiedManifest`].

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use tms_crypto::sha256;

use crate::{error::FirmwareError, manifest::Manifest, signing::SigningKey, trust::TrustRoot};

/// Largest envelope, in bytes of JSON.
pub const MAX_ENVELOPE_BYTES: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 16;
/// Keeps a signature over a manifest from ever being one over something else.
const DOMAIN: &[u8] = b"tms8583 firmware manifest v1\0";

/// A manifest's exact bytes with signatures over them. Nothing in it may be believed before
/// [`Envelope::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    keyid: String,
    sig: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    payload: String,
    signatures: Vec<JsonSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonSignature {
    keyid: String,
    sig: String,
}

/// A manifest that enough trusted keys have signed. Only [`Envelope::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedManifest {
    manifest: Manifest,
    id: String,
}

impl VerifiedManifest {
    /// The signed facts.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The identifier of this firmware, as [`Envelope::id`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Envelope {
    /// Signs `manifest` with every key.
    ///
    /// # Errors
    /// [`FirmwareError::Envelope`] when the result would be larger than a reader accepts.
    pub fn sign(manifest: &Manifest, keys: &[SigningKey]) -> Result<Self, FirmwareError> {
        let payload =
            serde_json::to_vec(manifest).map_err(|error| FirmwareError::Manifest(error.to_string()))?;
        let message = message(&payload);
        let sign = |key: &SigningKey| Signature { keyid: key.public().keyid, sig: key.sign(&message) };
        let envelope = Self { signatures: keys.iter().map(sign).collect(), payload };
        let size = envelope.to_json()?.len();
        if size > MAX_ENVELOPE_BYTES || keys.len() > MAX_SIGNATURES {
            return Err(FirmwareError::Envelope(format!(
                "{size} bytes with {} signatures is too large",
                keys.len()
            )));
        }
        Ok(envelope)
    }

    /// Reads the JSON of an envelope, bounded, without believing any of it.
    ///
    /// # Errors
    /// [`FirmwareError::EnvelopeTooLarge`] or [`FirmwareError::Envelope`].
    pub fn from_json(json: &[u8]) -> Result<Self, FirmwareError> {
        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(FirmwareError::EnvelopeTooLarge {
                found: json.len() as u64,
                max: MAX_ENVELOPE_BYTES as u64,
            });
        }
        let wrong = |reason: String| FirmwareError::Envelope(reason);
        let Json { payload, signatures } =
            serde_json::from_slice(json).map_err(|error| wrong(error.to_string()))?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(wrong(format!(
                "it has {} signatures, at most {MAX_SIGNATURES} are allowed",
                signatures.len()
            )));
        }
        let decode = |field: &str, text: &str| {
            STANDARD.decode(text).map_err(|error| wrong(format!("{field} is not base64: {error}")))
        };
        Ok(Self {
            payload: decode("payload", &payload)?,
            signatures: signatures
                .into_iter()
                .map(|JsonSignature { keyid, sig }| Ok(Signature { keyid, sig: decode("sig", &sig)? }))
                .collect::<Result<_, FirmwareError>>()?,
        })
    }

    /// The JSON that [`Envelope::from_json`] reads.
    ///
    /// # Errors
    /// [`FirmwareError::Envelope`] should never happen: the value is plain data.
    pub fn to_json(&self) -> Result<String, FirmwareError> {
        let signature =
            |s: &Signature| JsonSignature { keyid: s.keyid.clone(), sig: STANDARD.encode(&s.sig) };
        let json = Json {
            payload: STANDARD.encode(&self.payload),
            signatures: self.signatures.iter().map(signature).collect(),
        };
        serde_json::to_string(&json).map_err(|error| FirmwareError::Envelope(error.to_string()))
    }

    /// The identifier of the firmware: the first 16 bytes of the SHA-256 of the signed bytes, in
    /// hexadecimal. The same manifest has the same id whoever signs it.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = sha256(&self.payload);
        let (id, _) = hash.as_chunks::<16>();
        id.first().map(hex::encode).unwrap_or_default()
    }

    /// Checks the signatures against `root`. Signatures by keys outside the root count for nothing.
    ///
    /// # Errors
    /// [`FirmwareError::SignatureInvalid`] when a trusted key's signature does not verify,
    /// [`FirmwareError::NotEnoughSignatures`] below the threshold, [`FirmwareError::Manifest`] when
    /// what was signed is not a manifest.
    pub fn verify(&self, root: &TrustRoot) -> Result<VerifiedManifest, FirmwareError> {
        let message = message(&self.payload);
        let mut valid = BTreeSet::new();
        for signature in &self.signatures {
            let Some(key) = root.key(&signature.keyid) else {
                continue;
            };
            if !key.verifies(&message, &signature.sig) {
                return Err(FirmwareError::SignatureInvalid { keyid: key.keyid.clone() });
            }
            valid.insert(&key.keyid);
        }
        if valid.len() < root.threshold() {
            return Err(FirmwareError::NotEnoughSignatures {
                valid: valid.len(),
                threshold: root.threshold(),
            });
        }
        Ok(VerifiedManifest { manifest: Manifest::from_json(&self.payload)?, id: self.id() })
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    [DOMAIN, payload].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::Draft;

    fn manifest() -> Manifest {
        let draft = Draft { vendor: "Example".into(), models: vec!["SIM-8".into()], ..Draft::default() };
        draft.complete(5, sha256(b"image")).unwrap()
    }

    fn keys(n: usize) -> Vec<SigningKey> {
        (0..n).map(|_| SigningKey::generate().unwrap()).collect()
    }

    fn root(keys: &[SigningKey], threshold: usize) -> TrustRoot {
        TrustRoot::new(keys.iter().map(SigningKey::public).collect(), threshold).unwrap()
    }

    #[test]
    fn enough_distinct_trusted_signatures_verify() {
        let keys = keys(3);
        let envelope = Envelope::sign(&manifest(), &keys[..2]).unwrap();
        let verified = envelope.verify(&root(&keys, 2)).unwrap();
        assert_eq!(verified.manifest(), &manifest());
        assert_eq!(verified.id(), envelope.id());
        assert_eq!(verified.id().len(), 32);
    }

    #[test]
    fn below_the_threshold_nothing_is_verified() {
        let keys = keys(2);
        let one = Envelope::sign(&manifest(), &keys[..1]).unwrap();
        assert!(matches!(
            one.verify(&root(&keys, 2)),
            Err(FirmwareError::NotEnoughSignatures { valid: 1, threshold: 2 })
        ));
        let unsigned = Envelope::sign(&manifest(), &[]).unwrap();
        assert!(matches!(
            unsigned.verify(&root(&keys, 1)),
            Err(FirmwareError::NotEnoughSignatures { valid: 0, .. })
        ));
    }

    #[test]
    fn the_same_key_twice_counts_once() {
        let keys = keys(2);
        let mut envelope = Envelope::sign(&manifest(), &keys[..1]).unwrap();
        envelope.signatures.push(envelope.signatures[0].clone());
        assert!(matches!(
            envelope.verify(&root(&keys, 2)),
            Err(FirmwareError::NotEnoughSignatures { valid: 1, .. })
        ));
    }

    #[test]
    fn a_strangers_signature_counts_for_nothing_even_under_a_trusted_id() {
        let (trusted, stranger) = (keys(1), keys(1));
        let root = root(&trusted, 1);
        let mut envelope = Envelope::sign(&manifest(), &stranger).unwrap();
        assert!(matches!(envelope.verify(&root), Err(FirmwareError::NotEnoughSignatures { valid: 0, .. })));
        envelope.signatures[0].keyid = trusted[0].public().keyid;
        assert!(matches!(envelope.verify(&root), Err(FirmwareError::SignatureInvalid { .. })));
    }

    #[test]
    fn a_signature_over_the_bare_payload_is_not_one_over_a_manifest() {
        let keys = keys(1);
        let mut envelope = Envelope::sign(&manifest(), &keys).unwrap();
        envelope.signatures[0].sig = keys[0].sign(&envelope.payload);
        assert!(matches!(envelope.verify(&root(&keys, 1)), Err(FirmwareError::SignatureInvalid { .. })));
    }

    #[test]
    fn any_changed_payload_byte_breaks_the_signature() {
        let keys = keys(1);
        let root = root(&keys, 1);
        let good = Envelope::sign(&manifest(), &keys).unwrap();
        for at in 0..good.payload.len() {
            let mut changed = good.clone();
            changed.payload[at] ^= 1;
            assert!(
                matches!(changed.verify(&root), Err(FirmwareError::SignatureInvalid { .. })),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_well_signed_payload_that_is_no_manifest_is_refused() {
        let keys = keys(1);
        let payload = b"{}".to_vec();
        let sig = keys[0].sign(&message(&payload));
        let envelope =
            Envelope { payload, signatures: vec![Signature { keyid: keys[0].public().keyid, sig }] };
        assert!(matches!(envelope.verify(&root(&keys, 1)), Err(FirmwareError::Manifest(_))));
    }

    #[test]
    fn json_reads_back_and_malformed_json_says_why() {
        let envelope = Envelope::sign(&manifest(), &keys(2)).unwrap();
        assert_eq!(Envelope::from_json(envelope.to_json().unwrap().as_bytes()).unwrap(), envelope);
        for (json, reason) in [
            ("", "EOF"),
            (r#"{"payload":"!","signatures":[]}"#, "payload is not base64"),
            (r#"{"payload":"","signatures":[{"keyid":"a","sig":"!"}]}"#, "sig is not base64"),
            (r#"{"payload":"","signatures":[],"x":1}"#, "unknown field `x`"),
        ] {
            let message = Envelope::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(reason), "{json}: {message}");
        }
        assert!(matches!(
            Envelope::from_json(&vec![b' '; MAX_ENVELOPE_BYTES + 1]),
            Err(FirmwareError::EnvelopeTooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_never_verify(bytes: Vec<u8>) {
            if let Ok(envelope) = Envelope::from_json(&bytes) {
                let stranger = [SigningKey::generate().unwrap()];
                prop_assert!(envelope.verify(&root(&stranger, 1)).is_err());
            }
        }
    }
}
