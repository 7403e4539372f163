//! One line to the host: TCP, TLS, frames to the connection and back. Nothing is decided here.

use std::{io, sync::Arc, time::Duration};

use iso8583::framing::{FrameError, Framing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    agent::{Connection, Exit},
    clock::Clock,
    failure::{Failure, FailureKind},
    faults::LineFaults,
    status::Status,
    tls::TlsClient,
};

/// Largest frame that a terminal takes, after its length.
const MAX_FRAME_BYTES: usize = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a sign-off may take before the terminal stops without it.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the host's reason for a broken connection may take to be read.
const REASON_TIMEOUT: Duration = Duration::from_millis(200);
/// What an idle terminal keeps for reading.
const READ_BYTES: usize = 2 * 1024;

/// Connects and proves both sides to each other.
pub(crate) async fn connect(address: &str, tls: &TlsClient) -> Result<TlsStream<TcpStream>, Failure> {
    let tcp = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Err(_) => return Err(Failure::timeout("connecting to", address)),
        Ok(Err(error)) => return Err(Failure::connect(&error, address)),
        Ok(Ok(tcp)) => tcp,
    };
    // Messages are small and answered one by one.
    let _ = tcp.set_nodelay(true);
    let connector = TlsConnector::from(Arc::clone(&tls.config));
    match timeout(CONNECT_TIMEOUT, connector.connect(tls.server_name.clone(), tcp)).await {
        Err(_) => Err(Failure::timeout("the TLS handshake with", address)),
        Ok(Err(error)) if is_end(&error) => Err(Failure::closed(true)),
        Ok(Err(error)) => Err(Failure::stream(&error, &tls.server_name.to_str())),
        Ok(Ok(stream)) => Ok(stream),
    }
}

/// A line in use.
pub(crate) struct Line<'a> {
    pub(crate) stream: TlsStream<TcpStream>,
    pub(crate) server_name: String,
    pub(crate) faults: &'a mut LineFaults,
    pub(crate) clock: Clock,
    pub(crate) status: &'a Status,
    pub(crate) stop: watch::Receiver<bool>,
}

impl Line<'_> {
    /// Runs the connection until it ends, and says why it did.
    pub(crate) async fn run(mut self, connection: &mut Connection) -> Exit {
        self.faults.connected();
        let exit = match self.serve(connection).await {
            Ok(()) => Exit::Stopped,
            Err(exit) => exit,
        };
        if matches!(exit, Exit::Stopped | Exit::Reboot | Exit::Moved) {
            // A polite end, so that the host does not take it for a failure. It may have gone already.
            let _ = timeout(STOP_TIMEOUT, self.stream.shutdown()).await;
        }
        exit
    }

    async fn serve(&mut self, connection: &mut Connection) -> Result<(), Exit> {
        let mut buffer = Vec::new();
        connection.start(self.clock.now())?;
        let mut stopping = false;
        loop {
            self.flush(connection).await?;
            if let Some(exit) = connection.exit_when_idle() {
                return Err(exit);
            }
            let wait = if stopping { STOP_TIMEOUT } else { self.clock.until(connection.next_due()) };
            // Room for one message, given back when it has been taken.
            buffer.reserve(READ_BYTES);
            let input = tokio::select! {
                read = self.stream.read_buf(&mut buffer) => Input::Bytes(read),
                () = tokio::time::sleep(wait) => Input::Time,
                _ = self.stop.wait_for(|stop| *stop), if !stopping => Input::Stop,
                () = self.status.report.notified(), if !stopping => Input::Report,
            };
            let now = self.clock.now();
            match input {
                Input::Bytes(read) => {
                    let length = read.map_err(|error| self.lost(&error))?;
                    if length == 0 {
                        return Err(Exit::Lost(Failure::closed(false)));
                    }
                    if self.faults.passed(length) {
                        return Err(self.injected());
                    }
                    take_frames(&mut buffer, connection, self.clock)?;
                }
                Input::Time if stopping => return Err(Exit::Stopped),
                Input::Time => connection.tick(now)?,
                Input::Stop => {
                    stopping = true;
                    connection.stop(now)?;
                }
                Input::Report => {
                    connection.report_again(now);
                    connection.tick(now)?;
                }
            }
        }
    }

    async fn flush(&mut self, connection: &mut Connection) -> Result<(), Exit> {
        let mut bytes = Vec::new();
        while let Some(frame) = connection.poll_transmit() {
            bytes.extend_from_slice(&frame);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if !self.faults.delay().is_zero() {
            tokio::time::sleep(self.faults.delay()).await;
        }
        self.faults.outgoing(&mut bytes);
        let send = async {
            self.stream.write_all(&bytes).await?;
            self.stream.flush().await
        };
        match timeout(WRITE_TIMEOUT, send).await {
            Err(_) => {
                return Err(Exit::Lost(Failure::new(
                    FailureKind::Timeout,
                    "the host takes no more bytes",
                    "",
                )));
            }
            Ok(Err(error)) => return Err(self.lost_writing(error).await),
            Ok(Ok(())) => {}
        }
        if self.faults.passed(bytes.len()) {
            return Err(self.injected());
        }
        Ok(())
    }

    fn lost(&self, error: &io::Error) -> Exit {
        if is_end(error) {
            return Exit::Lost(Failure::closed(false));
        }
        Exit::Lost(Failure::stream(error, &self.server_name))
    }

    /// A host that refuses the terminal's certificate says so and closes; with TLS 1.3 the terminal
    /// may be writing already and meet the close first. The reason then waits to be read.
    async fn lost_writing(&mut self, error: io::Error) -> Exit {
        let reason = timeout(REASON_TIMEOUT, self.stream.read(&mut [0])).await;
        match reason {
            Ok(Err(reason)) if !is_end(&reason) => self.lost(&reason),
            _ => self.lost(&error),
        }
    }

    fn injected(&self) -> Exit {
        Exit::Lost(Failure::new(FailureKind::Injected, "the scenario broke the connection", ""))
    }
}

/// What woke the connection.
enum Input {
    Bytes(io::Result<usize>),
    Time,
    Stop,
    Report,
}

/// Hands every whole frame to the connection.
fn take_frames(buffer: &mut Vec<u8>, connection: &mut Connection, clock: Clock) -> Result<(), Exit> {
    let framing = connection.framing();
    let mut taken = 0_usize;
    loop {
        let rest = buffer.get(taken..).unwrap_or_default();
        let Some(length) =
            next_frame(framing, rest).map_err(|error| Exit::from(tms_proto::ProtocolError::from(error)))?
        else {
            break;
        };
        connection.receive(rest.get(..length).unwrap_or_default(), clock.now())?;
        taken = taken.saturating_add(length);
    }
    if taken == buffer.len() {
        // Thousands of idle terminals keep no buffer.
        *buffer = Vec::new();
    } else {
        buffer.drain(..taken.min(buffer.len()));
    }
    Ok(())
}

fn next_frame(framing: Framing, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(framing.split(bytes, MAX_FRAME_BYTES)?.map(|(_, length)| length))
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}
