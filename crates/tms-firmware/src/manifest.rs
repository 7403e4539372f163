//! What is signed about an image.

use serde::{Deserialize, Serialize};

use crate::{error::FirmwareError, version::Version};

const MAX_NAMES: usize = 64;
const MAX_NAME_BYTES: usize = 64;
const MAX_NOTES_BYTES: usize = 8 * 1024;
/// The largest image a manifest may describe: 4 GiB.
pub const MAX_IMAGE_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Facts about one image. As a plain value it proves nothing; see
/// [`VerifiedManifest`](crate::VerifiedManifest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Who makes the terminal.
    pub vendor: String,
    /// Models that the image is for; at least one.
    pub models: Vec<String>,
    /// Hardware revisions that the image is for; empty for all of them.
    pub hardware_revisions: Vec<String>,
    /// Its version. A terminal does not go back behind the one it runs.
    pub version: Version,
    /// Raised when an older image became dangerous. A terminal never installs one with a lower counter.
    pub security_counter: u32,
    /// Exact size of the image.
    pub size_bytes: u64,
    /// SHA-256 of the image, hexadecimal in JSON.
    #[serde(with = "hex::serde")]
    pub sha256: [u8; 32],
    /// What changed, for people.
    pub release_notes: ReleaseNotes,
}

/// Release notes in the languages of the console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseNotes {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

/// The part of a [`Manifest`] that a person decides; size and hash are taken from the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// As in [`Manifest::vendor`].
    pub vendor: String,
    /// As in [`Manifest::models`].
    pub models: Vec<String>,
    /// As in [`Manifest::hardware_revisions`].
    pub hardware_revisions: Vec<String>,
    /// As in [`Manifest::version`].
    pub version: Version,
    /// As in [`Manifest::security_counter`].
    pub security_counter: u32,
    /// As in [`Manifest::release_notes`].
    pub release_notes: ReleaseNotes,
}

impl Draft {
    /// The manifest of this draft for an image of that size and hash.
    ///
    /// # Errors
    /// [`FirmwareError::Manifest`] when a field is missing or out of bounds.
    pub fn complete(self, size_bytes: u64, sha256: [u8; 32]) -> Result<Manifest, FirmwareError> {
        let Self { vendor, models, hardware_revisions, version, security_counter, release_notes } = self;
        let manifest = Manifest {
            vendor,
            models,
            hardware_revisions,
            version,
            security_counter,
            size_bytes,
            sha256,
            release_notes,
        };
        manifest.check()?;
        Ok(manifest)
    }
}

impl Manifest {
    /// Reads the JSON of a manifest and checks its bounds.
    ///
    /// # Errors
    /// [`FirmwareError::Manifest`] naming the field.
    pub(crate) fn from_json(payload: &[u8]) -> Result<Self, FirmwareError> {
        let manifest: Self =
            serde_json::from_slice(payload).map_err(|error| FirmwareError::Manifest(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Whether the image is for this model.
    #[must_use]
    pub fn is_for_model(&self, model: &str) -> bool {
        self.models.iter().any(|name| name == model)
    }

    /// Whether the image is for this hardware revision.
    #[must_use]
    pub fn is_for_hardware(&self, revision: &str) -> bool {
        self.hardware_revisions.is_empty() || self.hardware_revisions.iter().any(|name| name == revision)
    }

    fn check(&self) -> Result<(), FirmwareError> {
        let wrong = |reason: String| Err(FirmwareError::Manifest(reason));
        if self.vendor.is_empty() {
            return wrong("vendor is empty".to_owned());
        }
        if self.models.is_empty() {
            return wrong("models names no model".to_owned());
        }
        let lists = [("models", &self.models), ("hardware_revisions", &self.hardware_revisions)];
        for (field, names) in lists {
            if names.len() > MAX_NAMES {
                return wrong(format!(
                    "{field} has {} entries, at most {MAX_NAMES} are allowed",
                    names.len()
                ));
            }
        }
        let named = lists.iter().flat_map(|(field, names)| names.iter().map(move |name| (*field, name)));
        for (field, name) in named.chain([("vendor", &self.vendor)]) {
            if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
                return wrong(format!(
                    "{field} has a name that is empty, unprintable or longer than {MAX_NAME_BYTES} bytes"
                ));
            }
        }
        if self.size_bytes == 0 || self.size_bytes > MAX_IMAGE_BYTES {
            return wrong(format!("size_bytes is {}, allowed are 1 to {MAX_IMAGE_BYTES}", self.size_bytes));
        }
        if self.release_notes.en.len().max(self.release_notes.zh.len()) > MAX_NOTES_BYTES {
            return wrong(format!("release_notes are longer than {MAX_NOTES_BYTES} bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft { vendor: "Example".into(), models: vec!["SIM-8".into()], ..Draft::default() }
    }

    #[test]
    fn a_draft_needs_a_vendor_a_model_and_an_image() {
        assert!(draft().complete(1, [0; 32]).is_ok());
        for (draft, size, field) in [
            (Draft { vendor: String::new(), ..draft() }, 1, "vendor"),
            (Draft { models: vec![], ..draft() }, 1, "models"),
            (Draft { models: vec!["a\nb".into()], ..draft() }, 1, "models"),
            (Draft { hardware_revisions: vec!["A".repeat(65)], ..draft() }, 1, "hardware_revisions"),
            (Draft { models: vec!["A".into(); 65], ..draft() }, 1, "models"),
            (draft(), 0, "size_bytes"),
            (draft(), MAX_IMAGE_BYTES + 1, "size_bytes"),
        ] {
            let message = draft.complete(size, [0; 32]).unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn no_hardware_revision_means_every_one() {
        let all = draft().complete(1, [0; 32]).unwrap();
        let some = Draft { hardware_revisions: vec!["A1".into()], ..draft() }.complete(1, [0; 32]).unwrap();
        assert!(all.is_for_hardware("B7") && some.is_for_hardware("A1") && !some.is_for_hardware("B7"));
    }

    #[test]
    fn json_with_an_unknown_or_missing_field_is_refused_by_name() {
        let good = serde_json::to_value(draft().complete(1, [0; 32]).unwrap()).unwrap();
        let mut unknown = good.clone();
        unknown["critical"] = 1.into();
        let mut missing = good.clone();
        missing.as_object_mut().unwrap().remove("sha256");
        for (json, field) in [(unknown, "critical"), (missing, "sha256")] {
            let message = Manifest::from_json(json.to_string().as_bytes()).unwrap_err().to_string();
            assert!(message.contains(field), "{message}");
        }
        assert!(Manifest::from_json(good.to_string().as_bytes()).is_ok());
    }
}
