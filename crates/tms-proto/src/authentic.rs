//! Which messages a session acts on.
//!
//! Every handler of a session takes an [`Admitted`], and only the [`Gate`] makes those: out of a
//! message whose MAC was right, or out of one of which the profile asks none. A handler that is
//! given a message that nobody checked does not compile.

use std::{borrow::Cow, sync::Arc};

use iso8583::{BuildError, Builder, Message};
use tms_crypto::{
    keyblock::WorkingKeys,
    mac::{Code, MacKey, MacVerified},
};

use crate::{
    error::ProtocolError,
    profile::{Function, MacKeySource, MacRule, MacRules, Profile, Refusal},
    reason::MacFault,
};

/// A message that the profile lets a session act on.
pub(crate) struct Admitted<'m, 'a> {
    message: &'m Message<'a>,
    proof: Option<MacVerified<'a>>,
    unchecked: bool,
}

impl<'m, 'a> Admitted<'m, 'a> {
    pub(crate) fn message(&self) -> &'m Message<'a> {
        self.message
    }

    /// Whether its MAC was checked and right.
    pub(crate) fn is_authentic(&self) -> bool {
        self.proof.is_some()
    }

    /// Whether it has a MAC that was let through, because the profile asks for none and there was
    /// nothing to check it with.
    pub(crate) fn is_unchecked(&self) -> bool {
        self.unchecked
    }
}

/// What goes out, as far as its MAC is concerned.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outgoing {
    Request(Function),
    Reply {
        /// `None` when the request was of no known function.
        to: Option<Function>,
        refusal: Option<Refusal>,
        /// Whether the request was authentic.
        authentic: bool,
    },
}

/// One session's MAC keys, and the only place where messages are admitted.
///
/// There are two of them while working keys change, because nobody knows whether the other side has the
/// new one until a message says so. What goes out is signed with one that the other side is known to
/// take; what comes in may have either.
#[derive(Debug)]
pub(crate) struct Gate {
    profile: Arc<Profile>,
    /// What goes out is signed with this.
    key: Option<MacKey>,
    other: Option<Other>,
    /// Whether a message proved since the last question that the other side has the offered key.
    promoted: bool,
}

/// The second key that is accepted.
#[derive(Debug)]
enum Other {
    /// Offered to the other side: in force as soon as a message has it.
    Offered(MacKey),
    /// Replaced here: forgotten as soon as a message has the new one.
    Replaced(MacKey),
}

impl Other {
    fn key(&self) -> &MacKey {
        match self {
            Self::Offered(key) | Self::Replaced(key) => key,
        }
    }
}

impl Gate {
    pub(crate) fn new(profile: Arc<Profile>) -> Self {
        Self { profile, key: None, other: None, promoted: false }
    }

    /// Takes the MAC key of a sign-on, in a profile that takes its key from there.
    pub(crate) fn set_working_keys(&mut self, keys: &WorkingKeys) -> Result<(), ProtocolError> {
        if let Some(key) = self.working_key(keys)? {
            self.key = Some(key);
            self.other = None;
        }
        Ok(())
    }

    /// The other side was sent new keys and has not said that it has them: both are accepted.
    pub(crate) fn offer(&mut self, keys: &WorkingKeys) -> Result<(), ProtocolError> {
        if let Some(key) = self.working_key(keys)? {
            self.other = Some(Other::Offered(key));
        }
        Ok(())
    }

    /// The other side has the offered keys.
    pub(crate) fn promote(&mut self) {
        match self.other.take() {
            Some(Other::Offered(key)) => self.key = Some(key),
            other => self.other = other,
        }
    }

    /// The other side refused the offered keys.
    pub(crate) fn withdraw(&mut self) {
        self.other = self.other.take().filter(|other| matches!(other, Other::Replaced(_)));
    }

    /// This side has new keys; those before them are accepted until the other side uses the new ones.
    pub(crate) fn replace(&mut self, keys: &WorkingKeys) -> Result<(), ProtocolError> {
        if let Some(key) = self.working_key(keys)? {
            self.other = self.key.replace(key).map(Other::Replaced);
        }
        Ok(())
    }

    /// Whether a message proved since the last call that the other side has the offered key.
    pub(crate) fn was_promoted(&mut self) -> bool {
        std::mem::take(&mut self.promoted)
    }

    /// Whether messages prove at all which keys the other side has.
    pub(crate) fn proves_keys(&self) -> bool {
        let requires = |rules: &MacRules| {
            Function::ALL.iter().any(|function| {
                self.profile.rule(*function).is_some() && rules.request(*function) == MacRule::Required
            })
        };
        self.rules_of(MacKeySource::Working).is_some_and(requires)
    }

    fn working_key(&self, keys: &WorkingKeys) -> Result<Option<MacKey>, ProtocolError> {
        match self.rules_of(MacKeySource::Working) {
            Some(rules) => Ok(Some(keys.mac_key(rules.algorithm())?)),
            None => Ok(None),
        }
    }

    /// Takes a configured key.
    pub(crate) fn set_static_key(&mut self, key: MacKey) -> Result<(), ProtocolError> {
        let rules = self.rules_of(MacKeySource::Static).ok_or(ProtocolError::NoStaticMacKey)?;
        let (wanted, found) = (rules.algorithm(), key.algorithm());
        if wanted != found {
            return Err(ProtocolError::OtherMacKey { wanted, found });
        }
        self.key = Some(key);
        Ok(())
    }

    /// Ends the life of the sign-on's key; a configured one stays.
    pub(crate) fn forget_working_key(&mut self) {
        if self.rules_of(MacKeySource::Working).is_some() {
            self.key = None;
            self.other = None;
        }
    }

    /// Admits a request, or says why not.
    pub(crate) fn request<'m, 'a>(
        &mut self,
        function: Function,
        message: &'m Message<'a>,
    ) -> Result<Admitted<'m, 'a>, MacFault> {
        self.admit(message, |rules| rules.request(function))
    }

    /// Admits a reply, or says why not; `refusal` is what its DE39 means.
    pub(crate) fn reply<'m, 'a>(
        &mut self,
        function: Function,
        refusal: Option<Refusal>,
        message: &'m Message<'a>,
    ) -> Result<Admitted<'m, 'a>, MacFault> {
        self.admit(message, |rules| rules.reply(function, refusal))
    }

    fn admit<'m, 'a>(
        &mut self,
        message: &'m Message<'a>,
        rule: impl FnOnce(&MacRules) -> MacRule,
    ) -> Result<Admitted<'m, 'a>, MacFault> {
        let profile = Arc::clone(&self.profile);
        let Some(rules) = profile.mac() else {
            let unchecked = message.has(64) || message.has(128);
            return Ok(Admitted { message, proof: None, unchecked });
        };
        let found = find(rules, message);
        let present = !matches!(found, Err(MacFault::Missing(_)));
        match (rule(rules), self.key.is_some() || self.other.is_some()) {
            (MacRule::None, _) | (MacRule::Optional, false) => {
                Ok(Admitted { message, proof: None, unchecked: present })
            }
            (MacRule::Optional, _) if !present => Ok(Admitted { message, proof: None, unchecked: false }),
            (MacRule::Required, false) => Err(MacFault::NoKey),
            (MacRule::Optional | MacRule::Required, true) => {
                let (covered, mac) = found?;
                let proof = self.verify(rules, covered, &mac)?;
                Ok(Admitted { message, proof: Some(proof), unchecked: false })
            }
        }
    }

    /// Checks a MAC with either key, and notes what it says of the other side.
    fn verify<'a>(
        &mut self,
        rules: &MacRules,
        covered: &'a [u8],
        mac: &[u8],
    ) -> Result<MacVerified<'a>, MacFault> {
        let first = match &self.key {
            Some(key) => key.verify(rules.form(), covered, mac).map_err(MacFault::Wrong),
            None => Err(MacFault::NoKey),
        };
        match (first, &self.other) {
            (Ok(proof), other) => {
                if matches!(other, Some(Other::Replaced(_))) {
                    self.other = None;
                }
                Ok(proof)
            }
            (Err(_), Some(other)) => {
                let proof = other.key().verify(rules.form(), covered, mac).map_err(MacFault::Wrong)?;
                if matches!(other, Other::Offered(_)) {
                    self.promote();
                    self.promoted = true;
                }
                Ok(proof)
            }
            (Err(fault), None) => Err(fault),
        }
    }

    /// Whether there is what a request of `function` needs.
    pub(crate) fn can_send(&self, function: Function) -> bool {
        let needed = self.profile.mac().is_some_and(|rules| rules.request(function) == MacRule::Required);
        !needed || self.key.is_some()
    }

    /// Appends the final bytes of a message to `out`, with the MAC that the profile asks for.
    pub(crate) fn seal(
        &self,
        builder: &Builder<'_>,
        outgoing: Outgoing,
        out: &mut Vec<u8>,
    ) -> Result<(), ProtocolError> {
        let Some(rules) = self.profile.mac().filter(|rules| wanted(rules, outgoing)) else {
            return Ok(builder.build_into(out)?);
        };
        let Some(key) = &self.key else {
            return match outgoing {
                Outgoing::Reply { refusal: Some(_), .. } | Outgoing::Reply { to: None, .. } => {
                    Ok(builder.build_into(out)?)
                }
                Outgoing::Request(function) | Outgoing::Reply { to: Some(function), .. } => {
                    Err(ProtocolError::NoMacKey(function))
                }
            };
        };
        match sign_in(builder, rules.first_place(), rules, key, out) {
            // A field above 64: the bitmap has both halves, and its last place is DE128.
            Err(ProtocolError::Build(BuildError::AfterMac { mac: 64, .. })) => {
                sign_in(builder, 128, rules, key, out)
            }
            other => other,
        }
    }

    fn rules_of(&self, source: MacKeySource) -> Option<&MacRules> {
        self.profile.mac().filter(|rules| rules.key_source() == source)
    }
}

fn wanted(rules: &MacRules, outgoing: Outgoing) -> bool {
    match outgoing {
        Outgoing::Request(function) => rules.request(function) == MacRule::Required,
        // The other side has no key, or another one, and is to understand this all the same.
        Outgoing::Reply { refusal: Some(Refusal::MacWrong), .. } => false,
        // Nobody proved to have sent what this answers. Signed, it would be a refusal with a right MAC
        // for anyone who asks with the numbers of another's request.
        Outgoing::Reply { to: None, .. } => false,
        Outgoing::Reply { to: Some(function), refusal, authentic } => {
            let covered = refusal.is_none() || (rules.covers_refusals() && authentic);
            match rules.request(function) {
                MacRule::None => false,
                MacRule::Optional => authentic && covered,
                MacRule::Required => covered,
            }
        }
    }
}

/// Builds a message with its MAC in field `place`, over the very bytes that are sent.
fn sign_in(
    builder: &Builder<'_>,
    place: u8,
    rules: &MacRules,
    key: &MacKey,
    out: &mut Vec<u8>,
) -> Result<(), ProtocolError> {
    let mut failed = None;
    let built = builder.build_with_mac(out, place, |covered| {
        key.sign(rules.form(), covered).unwrap_or_else(|error| {
            failed = Some(error);
            Code::default()
        })
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(built?),
    }
}

/// The MAC of a message and the bytes that it covers, which are the received ones: everything
/// before its own value, the bit of its own field in the bitmap included.
fn find<'a>(rules: &MacRules, message: &Message<'a>) -> Result<(&'a [u8], Cow<'a, [u8]>), MacFault> {
    let wanted = rules.place(message);
    let other = if wanted == 128 { 64 } else { 128 };
    if message.has(other) {
        return Err(MacFault::Misplaced(other));
    }
    let field = message.field(wanted).ok_or(MacFault::Missing(wanted))?;
    // Strict reading leaves nothing after the last field, and the MAC is the last: a dialect with a
    // third bitmap could have one behind DE128.
    let last = message.contents().last().is_some_and(|(n, _)| n == wanted);
    let covered = message.body().strip_suffix(field.bytes()).filter(|_| last);
    let covered = covered.ok_or(MacFault::Misplaced(wanted))?;
    Ok((covered, field.value()))
}
