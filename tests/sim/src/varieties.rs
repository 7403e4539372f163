//! The kinds of terminals that there are: profiles, with and without MACs, under TLS and bare.

use std::sync::{Arc, OnceLock};

use testkit::link::Mode;
use tms_crypto::mac::MacKey;
use tms_proto::Profile;

/// The key that terminals and host were given, in profiles that take one.
const STATIC_KEY: [u8; 16] = [0x5A; 16];

/// The built-in profiles and their files.
const PROFILES: &[(&str, &str)] = &[
    ("unionpay", include_str!("../../../crates/tms-proto/profiles/unionpay.toml")),
    ("iso87", include_str!("../../../crates/tms-proto/profiles/iso87.toml")),
    ("iso93", include_str!("../../../crates/tms-proto/profiles/iso93.toml")),
];

/// One kind of terminal.
#[derive(Debug)]
pub(crate) struct Variety {
    pub(crate) name: String,
    pub(crate) profile: Arc<Profile>,
    pub(crate) mac_key: Option<MacKey>,
    pub(crate) mode: Mode,
    /// Whether messages have MACs.
    pub(crate) macs: bool,
}

/// All kinds. Without TLS only those whose MACs are mandatory: nothing else protects the others.
pub(crate) fn all() -> &'static [Variety] {
    static ALL: OnceLock<Vec<Variety>> = OnceLock::new();
    ALL.get_or_init(|| {
        let kinds = [(false, Mode::Protected), (true, Mode::Protected), (true, Mode::Bare)];
        PROFILES
            .iter()
            .flat_map(|(name, text)| kinds.iter().map(move |(macs, mode)| variety(name, text, *macs, *mode)))
            .collect()
    })
}

fn variety(name: &str, text: &str, macs: bool, mode: Mode) -> Variety {
    // A MAC wherever a profile has a place for one.
    let profile = match macs {
        true => Profile::from_toml(&text.replace("protect = \"optional\"\n", "protect = \"possible\"\n"))
            .expect("MACs"),
        false => Profile::from_toml(text).expect("a built-in profile"),
    };
    // Without a key for MACs that are optional none are asked for.
    let mac_key = (macs && profile.needs_static_mac_key())
        .then(|| profile.static_mac_key(&STATIC_KEY).expect("a key of the right length"));
    let kind = match (macs, mode) {
        (false, _) => "",
        (true, Mode::Protected) => " with MACs",
        (true, Mode::Bare) => " with MACs and without TLS",
    };
    Variety { name: format!("{name}{kind}"), profile: Arc::new(profile), mac_key, mode, macs }
}
