//! Sessions whose profile asks for MACs: keys of the sign-on, and keys given beforehand.

use tms_crypto::keyblock::{WorkingKeys, unwrap_working_keys};

use super::*;
use crate::secret::unseal_tmk;

const UNIONPAY: &str = include_str!("../../../../tms-proto/profiles/unionpay.toml");
const ISO87: &str = include_str!("../../../../tms-proto/profiles/iso87.toml");

async fn host(estate: &Estate, profile: &Arc<Profile>, mac_key: Option<MacKey>) -> Session {
    let endpoint = Endpoint { framing: profile.framing(), profile: Arc::clone(profile), mac_key };
    let peer = PeerIdentity {
        common_name: TID.to_owned(),
        sha256: hex::encode(tms_crypto::sha256(TID.as_bytes())),
        address: ([127, 0, 0, 1], 1).into(),
        connection: estate.app.wake.next_connection(),
    };
    Session::open(Arc::clone(&estate.app), endpoint, peer).await.unwrap()
}

#[tokio::test]
async fn the_mac_key_of_a_sign_on_protects_what_follows_it() {
    let mut estate = estate().await;
    Arc::get_mut(&mut estate.app).unwrap().clock = Clock::new(clock);
    let id = estate.terminal_of(tms_core::Profile::unionpay(), TID).await;
    let sealed = estate.app.store.terminal(&id).await.unwrap().unwrap().tmk_sealed;
    let tmk = unseal_tmk(&estate.app.vault, &id, &sealed).unwrap();
    let required = "protect = \"none\"\n[mac.function]\nreport = \"required\"\n";
    let text = UNIONPAY.replace("protect = \"optional\"\n", required);
    let profile = Arc::new(Profile::from_toml(&text).unwrap());
    let mut host = host(&estate, &profile, None).await;
    let mut terminal = TerminalSession::new(Arc::clone(&profile), Identity::new(TID, "102310060510002"));

    terminal.sign_on(b"", clock()).unwrap();
    let events = exchange(&mut host, &mut terminal).await;
    let Some(TerminalEvent::SignedOn { keys: Some(block), .. }) = events.into_iter().next() else { panic!() };
    assert!(terminal.report(&Report::default(), clock()).is_err(), "no key yet");
    terminal.set_working_keys(&unwrap_working_keys(&tmk, &block).unwrap()).unwrap();
    terminal.report(&Report::default(), clock()).unwrap();
    let events = exchange(&mut host, &mut terminal).await;
    assert!(events.iter().any(|event| matches!(event, TerminalEvent::ReportTaken)), "{events:?}");

    // One that has not signed on has no key that the host would know.
    let mut stranger = TerminalSession::new(profile, Identity::new(TID, "102310060510002"));
    stranger.set_working_keys(&WorkingKeys::generate(false)).unwrap();
    stranger.report(&Report::default(), clock()).unwrap();
    let events = exchange(&mut host, &mut stranger).await;
    assert!(
        matches!(&events[..], [TerminalEvent::Refused { refusal: Refusal::MacWrong, .. }, ..]),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_listener_with_a_mac_key_serves_terminals_that_have_it_and_no_others() {
    let (estate, _) = with_terminal().await;
    let text = ISO87.replace("protect = \"optional\"", "protect = \"required\"");
    let profile = Arc::new(Profile::from_toml(&text).unwrap());
    let key = |byte: u8| profile.static_mac_key(&[byte; 16]).unwrap();
    for (byte, served) in [(1, true), (2, false)] {
        let mut host = host(&estate, &profile, Some(key(1))).await;
        let mut terminal = TerminalSession::new(Arc::clone(&profile), Identity::new(TID, "102310060510002"));
        terminal.set_mac_key(key(byte)).unwrap();
        terminal.sign_on(b"", clock()).unwrap();
        let events = exchange(&mut host, &mut terminal).await;
        let signed_on = events.iter().any(|event| matches!(event, TerminalEvent::SignedOn { .. }));
        assert_eq!(signed_on, served, "{events:?}");
        assert_eq!(host.protocol.is_signed_on(), served);
    }
}
