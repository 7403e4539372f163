//! The loop around a socket: frames in, frames out, and the time in between.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    Ended, Endpoint, PeerIdentity, Session,
    stream::{FrameReader, Incoming},
};
use crate::app::App;

/// Shortest wait for what is due: never spin, whatever the clock does.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Serves one connection until it ends. Never fails: what goes wrong is counted and logged.
pub async fn serve(
    app: Arc<App>,
    endpoint: Endpoint,
    stream: TlsStream<TcpStream>,
    peer: PeerIdentity,
    drain: CancellationToken,
) {
    let mut session = match Session::open(Arc::clone(&app), endpoint, peer).await {
        Ok(session) => session,
        Err(error) => {
            warn!(%error, "session not started");
            return;
        }
    };
    let mut reader = FrameReader::new(stream, session.framing(), app.limits.frame_bytes);
    let ended = loop {
        if let Err(ended) = turn(&app, &mut session, &mut reader, &drain).await {
            break ended;
        }
    };
    // What is already answered still goes out.
    let _ = flush(&mut session, &mut reader).await;
    reader.close().await;
    session.close(ended).await;
}

/// Waits for one thing to happen and deals with it.
async fn turn(
    app: &App,
    session: &mut Session,
    reader: &mut FrameReader,
    drain: &CancellationToken,
) -> Result<(), Ended> {
    let left = session.next_due().duration_since(app.now());
    let wait = Duration::try_from(left).unwrap_or(Duration::ZERO).max(SHORTEST_WAIT);
    tokio::select! {
        incoming = reader.next() => match incoming? {
            Incoming::Frames(frames) => {
                for frame in frames {
                    session.frame(&frame).await?;
                }
            }
            Incoming::Closed => return Err(Ended::Closed),
        },
        () = session.roused() => {}
        () = drain.cancelled() => return Err(Ended::Draining),
        () = tokio::time::sleep(wait) => {}
    }
    // Also after frames: a terminal that never pauses does not stop the clock.
    session.tick().await?;
    flush(session, reader).await
}

async fn flush(session: &mut Session, reader: &mut FrameReader) -> Result<(), Ended> {
    let mut out = Vec::new();
    while let Some(frame) = session.poll_transmit() {
        out.extend_from_slice(&frame);
    }
    if !out.is_empty() {
        reader.write(&out).await?;
    }
    Ok(())
}
