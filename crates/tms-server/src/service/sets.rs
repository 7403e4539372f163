//! Sets that all terminals download.

use tms_core::{EstateSet, SetName};
use tms_proto::{
    emv::{DownloadRequest, Forms, Offer},
    tms_parameters::{Layout, TmsParameters, TmsTask},
};

use super::ServiceError;
use crate::{app::App, downloads};

/// Puts a set in place of the one before, as JSON: lists of hexadecimal data objects as terminals get
/// them (`capks`, `aids`, `contactless`), a list of card numbers or their beginnings (`blacklist`, `pin_free_bins`,
/// `pin_free_blacklist`), or an object (`tms_parameters`). Connected terminals are told at once; those that have it already are not.
///
/// An empty set takes away what terminals have only where the profile pushes sets. Terminals that download are
/// told that there is nothing to download, and keep what they have: the interface knows no way to say more.
///
/// # Errors
/// `Invalid` if terminals could not be given it.
pub async fn put_set(
    app: &App,
    name: SetName,
    content: &serde_json::Value,
) -> Result<EstateSet, ServiceError> {
    replace_set(app, name, content, None).await
}

/// The same, if the set before has the revision `expected`; that of a set that does not exist is 0.
///
/// # Errors
/// As [`put_set`]; `Store` if the revision is another one.
pub async fn replace_set(
    app: &App,
    name: SetName,
    content: &serde_json::Value,
    expected: Option<u64>,
) -> Result<EstateSet, ServiceError> {
    let now = app.now();
    let mut set = EstateSet { name, revision: 0, content: content.to_string(), updated_at: now };
    let mut offer = Offer::default();
    downloads::put(&mut offer, &set)
        .map_err(|error| ServiceError::Invalid(format!("the set {name} cannot be used: {error}")))?;
    check(&offer).map_err(|what| ServiceError::Invalid(format!("the set {name} cannot be used: {what}")))?;
    let put = app.store.put_set(name, set.content.clone(), expected, now).await;
    // Also when it failed: it may be there, and only the answer was lost.
    app.downloads.forget();
    app.wake.everybody();
    set.revision = put?;
    Ok(set)
}

/// Every item has to fit into an answer, in the tightest form.
fn check(offer: &Offer) -> Result<(), String> {
    let forms = Forms::default();
    let fits = |request: DownloadRequest, what: &dyn std::fmt::Display| match offer.answer(&request, &forms) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{what} does not fit into a message")),
    };
    for key in offer.capks.iter() {
        fits(DownloadRequest::Capk(key.id()), &key.id())?;
    }
    for application in offer.aids.iter() {
        let name = hex::encode_upper(application.aid.as_bytes());
        fits(DownloadRequest::Aid(application.aid.clone()), &name)?;
    }
    if let Some(parameters) = &offer.tms_parameters {
        // A task is of one interface, which has these layouts.
        let layouts = match &parameters.task {
            TmsTask::Current(_) => [Layout::Tagged, Layout::Untagged].as_slice(),
            TmsTask::Old(_) => &[Layout::Old],
        };
        for layout in layouts {
            let forms = Forms { tms_parameters: *layout, ..Forms::default() };
            // Why in words: they say which value is too long.
            let body = parameters.encode(*layout).map_err(|error| error.to_string())?;
            // A terminal has to be able to read it, too.
            TmsParameters::decode(*layout, &body).map_err(|error| error.to_string())?;
            offer.answer(&DownloadRequest::TmsParameters, &forms).map_err(|refusal| refusal.to_string())?;
        }
    }
    Ok(())
}
