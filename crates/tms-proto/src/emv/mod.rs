//! What a UnionPay terminal downloads for chip cards: the card organisations' public keys ([`Capk`]), the
//! parameters of each chip application ([`AidParameters`]), the card [`Blacklist`], the contactless parameters
//! ([`ContactlessSet`]), the tables of cards without PIN ([`CardList`]), and with them the TMS parameters
//! ([`crate::tms_parameters`]).
//!
//! A download is one machine on the terminal ([`Download`]), driven without I/O: it says what to ask
//! ([`Download::next_request`]), is given the bytes of the reply's body ([`Download::on_reply`]), and says when
//! something is to be made durable. The host holds what it gives in an [`Offer`] and answers each
//! [`DownloadRequest`] from it; pages are cut to what DE62 holds. What acquirers do differently on the wire is in
//! [`Forms`], a part of the profile.
//!
//! ```
//! use tms_proto::emv::{Download, Forms, Offer, Progress};
//!
//! let (offer, forms) = (Offer::default(), Forms::default());
//! let mut download = Download::blacklist(&Default::default());
//! while let Some(request) = download.next_request() {
//!     let body = offer.answer(&request, &forms).expect("every request of this download has an answer");
//!     download.on_reply(&request, &body, &forms).expect("the host says nothing wrong");
//! }
//! assert!(download.is_finished());
//! ```

mod aid;
mod capk;
mod card;
mod contactless;
mod download;
mod element;
mod error;
mod forms;
mod list;
mod numbered;
mod offer;
mod request;

pub use aid::{Aid, AidParameters, AidSet};
pub use capk::{Capk, CapkEntry, CapkId, CapkSet, Expiry};
pub use card::{Blacklist, CardList, CardPrefix};
pub use contactless::{ContactlessSet, ContactlessTemplate};
pub use download::{
    AidDownload, CapkDownload, Download, DownloadError, NumberedDownload, Progress, SkipReason, Skipped,
    TmsParametersDownload,
};
pub use error::EmvError;
pub use forms::{BlacklistForm, ExpiryForm, Forms};
pub use list::{Control, ListPage, MAX_ENTRIES};
pub use numbered::{MAX_NUMBERED, Numbered, NumberedPage};
pub use offer::Offer;
pub use request::{DownloadBody, DownloadKind, DownloadRequest};

#[cfg(test)]
mod tests;
