//! Downloads as the host announces them: keys, applications, blacklist, TMS parameters, contactless parameters,
//! cards without PIN.

use jiff::Timestamp;
use tms_proto::{
    Refusal,
    emv::{Download, DownloadBody, DownloadError, DownloadKind, DownloadRequest, Progress},
};

use super::{Connection, Exit, RETRY_AFTER_MS};

/// Wait before a download that the host still announces after its end is begun again. It doubles each time.
const AGAIN_AFTER_MS: u64 = 5_000;
/// Times that the wait doubles: 21 minutes.
const MAX_DOUBLINGS: u32 = 8;

/// A download that has ended, well or badly, while the host went on to announce it.
#[derive(Debug)]
pub(super) struct Again {
    times: u32,
    pub(super) due: Timestamp,
}

/// A download on this connection.
#[derive(Debug)]
pub(super) struct Downloading {
    download: Download,
    waiting: bool,
    pub(super) due: Timestamp,
}

impl Downloading {
    pub(super) fn next_due(&self) -> Timestamp {
        if self.waiting { Timestamp::MAX } else { self.due }
    }
}

impl Connection {
    /// The host announces a download.
    pub(super) fn want_download(&mut self, kind: DownloadKind) {
        let running = self.downloading.as_ref().is_some_and(|run| run.download.kind() == kind);
        if !running && !self.wanted_downloads.contains(&kind) {
            self.wanted_downloads.push_back(kind);
        }
    }

    pub(super) fn pump_download(&mut self, now: Timestamp) -> Result<(), Exit> {
        let announced = self.session.announced().and_then(DownloadKind::of);
        let mut wanted = None;
        for (kind, again) in self.download_again.iter_mut().filter(|(_, again)| again.due <= now) {
            again.due = Timestamp::MAX;
            wanted = wanted.or(announced.filter(|announced| announced == kind));
        }
        if let Some(kind) = wanted {
            self.want_download(kind);
        }
        if self.downloading.is_none() {
            let Some(kind) = self.wanted_downloads.pop_front() else { return Ok(()) };
            let machine = self.machine();
            let kept = machine.downloads.running.get(&kind).cloned();
            let download = kept.unwrap_or_else(|| machine.downloads.begin(kind));
            drop(machine);
            self.downloading = Some(Downloading { download, waiting: false, due: now });
        }
        let Some(run) = self.downloading.as_mut().filter(|run| now >= run.next_due()) else { return Ok(()) };
        match run.download.next_request() {
            Some(request) if self.session.supports(request.function()) => {
                run.waiting = true;
                Ok(self.session.download(&request, now)?)
            }
            _ => {
                self.downloading = None;
                Ok(())
            }
        }
    }

    pub(super) fn on_download(
        &mut self,
        request: &DownloadRequest,
        body: &DownloadBody,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let Some(run) = &mut self.downloading else { return Ok(()) };
        let progress = run.download.on_reply(request, body, self.session.profile().downloads());
        self.on_download_progress(progress, now)
    }

    pub(super) fn on_download_refused(
        &mut self,
        request: &DownloadRequest,
        refusal: Refusal,
        now: Timestamp,
    ) -> Result<(), Exit> {
        let Some(run) = &mut self.downloading else { return Ok(()) };
        let progress = run.download.on_refused(request, refusal);
        let again = self.after(RETRY_AFTER_MS, now);
        self.on_download_progress(progress, if refusal.may_retry() { again } else { now })
    }

    /// The answer was lost or of no use: the question stays the same.
    pub(super) fn on_download_missing(&mut self, now: Timestamp) {
        let due = self.after(RETRY_AFTER_MS, now);
        if let Some(run) = &mut self.downloading {
            run.waiting = false;
            run.due = due;
        }
    }

    /// The host announces a change only: what it still announces is wanted again, but not at once.
    fn download_ended(&mut self, kind: DownloadKind, now: Timestamp) {
        if self.session.announced() != Some(kind.work()) {
            self.download_again.remove(&kind);
            return;
        }
        let times = self.download_again.get(&kind).map_or(0, |again| again.times);
        let wait_ms = AGAIN_AFTER_MS.saturating_mul(1 << times.min(MAX_DOUBLINGS));
        let due = self.after(wait_ms, now);
        self.download_again.insert(kind, Again { times: times.saturating_add(1), due });
    }

    fn on_download_progress(
        &mut self,
        progress: Result<Progress, DownloadError>,
        due: Timestamp,
    ) -> Result<(), Exit> {
        let Some(mut run) = self.downloading.take() else { return Ok(()) };
        let kind = run.download.kind();
        if progress != Ok(Progress::Ignored) {
            run.waiting = false;
            run.due = due;
        }
        let mut machine = self.machine();
        match progress {
            Ok(Progress::Ignored | Progress::Continue) => {
                drop(machine);
                self.downloading = Some(run);
            }
            Ok(Progress::Store) => {
                machine.downloads.take(&run.download);
                machine.downloads.running.insert(kind, run.download.clone());
                machine.save_downloads()?;
                drop(machine);
                self.downloading = Some(run);
            }
            Ok(Progress::Finished) => {
                machine.downloads.take(&run.download);
                machine.downloads.running.remove(&kind);
                machine.save_downloads()?;
                machine.note(due, 'I', "param", &format!("{kind} downloaded"));
                drop(machine);
                self.report_due = due;
                self.download_ended(kind, due);
            }
            // It begins anew when it is still wanted.
            Err(error) => {
                machine.note(due, 'W', "param", &format!("{kind}: {error}"));
                if machine.downloads.running.remove(&kind).is_some() {
                    machine.save_downloads()?;
                }
                drop(machine);
                self.download_ended(kind, due);
            }
        }
        Ok(())
    }
}
