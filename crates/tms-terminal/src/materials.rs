//! What a terminal is given and does not make itself: its profile, its keys, whom it trusts, its
//! randomness and its hardware.

use std::{fmt, sync::Arc};

use tms_crypto::{keyblock::Tmk, mac::MacKey, verifier::DEFAULT_ITERATIONS};
use tms_firmware::TrustRoot;
use tms_proto::Profile;
use zeroize::Zeroizing;

use crate::hardware::{Hardware, NoHardware};

/// Everything that a [`Device`](crate::Device) needs besides its scenario and its storage. Cheap to
/// clone. `Debug` prints no keys.
#[derive(Clone)]
#[non_exhaustive]
pub struct Materials {
    /// The profile that it speaks.
    pub profile: Arc<Profile>,
    /// The MAC key that it was given, in a profile that takes one.
    pub mac_key: Option<MacKey>,
    /// Private key that secrets are sealed to.
    pub sealing_key: Zeroizing<Vec<u8>>,
    /// Terminal master key, where sign-on brings working keys.
    pub tmk: Option<Tmk>,
    /// Whose signatures on firmware count.
    pub trust: Arc<TrustRoot>,
    /// Iterations of the verifiers of the credentials as delivered. Those that the host makes say
    /// their own.
    pub verifier_iterations: u32,
    /// Where random bytes come from.
    pub entropy: Entropy,
    /// Who is told what physically happens.
    pub hardware: Arc<dyn Hardware>,
}

impl Materials {
    /// With the operating system's randomness, hardware that nobody watches, and no keys but these.
    #[must_use]
    pub fn new(profile: Arc<Profile>, sealing_key: Zeroizing<Vec<u8>>, trust: TrustRoot) -> Self {
        Self {
            profile,
            mac_key: None,
            sealing_key,
            tmk: None,
            trust: Arc::new(trust),
            verifier_iterations: DEFAULT_ITERATIONS,
            entropy: Entropy::default(),
            hardware: Arc::new(NoHardware),
        }
    }
}

impl fmt::Debug for Materials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Materials")
            .field("profile", &self.profile.name())
            .field("trust", &self.trust)
            .field("hardware", &self.hardware)
            .finish_non_exhaustive()
    }
}

/// A source of random bytes. The default is the operating system's.
#[derive(Clone)]
pub struct Entropy(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Entropy {
    /// A source that fills buffers in this way, for a simulation that must repeat itself.
    #[must_use]
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// The next bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self::new(tms_crypto::random::fill)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}
