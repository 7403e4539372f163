//! A network between terminals and their host that breaks at a chosen byte.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// Never.
const NEVER: u64 = u64::MAX;

/// Forwards connections and counts bytes of both directions, inside which TLS runs.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Line {
    passed: AtomicU64,
    cut_at: AtomicU64,
    cuts: AtomicU64,
}

impl Proxy {
    /// A proxy on a free port that forwards to `host`. Connections that the host does not take are
    /// closed.
    pub async fn to(host: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line { passed: 0.into(), cut_at: NEVER.into(), cuts: 0.into() });
        let shared = Arc::clone(&line);
        let task = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                let line = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(host).await {
                        forward(&line, near, far).await;
                    }
                });
            }
        });
        Self { address, line, task }
    }

    /// Where terminals connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that have passed since the start.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::SeqCst)
    }

    /// Breaks the connection, once, after this many more bytes: the byte after is not delivered.
    pub fn cut_after(&self, bytes: u64) {
        self.line.cut_at.store(self.passed().saturating_add(bytes), Ordering::SeqCst);
    }

    /// Connections cut so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.line.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until either end closes or the line is cut; then both ends are dropped.
async fn forward(line: &Line, near: TcpStream, far: TcpStream) {
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = pump(line, near_in, far_out) => {}
        () = pump(line, far_in, near_out) => {}
    }
}

async fn pump(line: &Line, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let Some(allowed) = line.pass(read) else {
            if to.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            continue;
        };
        let _ = to.write_all(&buffer[..allowed]).await;
        return;
    }
}

impl Line {
    /// Counts bytes. If the line is cut among them, how many still pass.
    fn pass(&self, bytes: usize) -> Option<usize> {
        let before = self.passed.fetch_add(bytes as u64, Ordering::SeqCst);
        let cut_at = self.cut_at.load(Ordering::SeqCst);
        if before.saturating_add(bytes as u64) < cut_at {
            return None;
        }
        // One of the two directions makes the cut.
        if self.cut_at.compare_exchange(cut_at, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        Some(usize::try_from(cut_at.saturating_sub(before)).unwrap_or(0).min(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that says everything back.
    async fn echoing() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        address
    }

    /// What comes back of some bytes before the connection ends.
    async fn comes_back(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = Vec::new();
        let _ = crate::soon("the end", stream.read_to_end(&mut back)).await;
        back
    }

    #[tokio::test]
    async fn a_line_carries_everything_until_it_is_cut_and_then_exactly_so_much() {
        let proxy = Proxy::to(echoing().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        let mut back = [0; 5];
        stream.write_all(b"hello").await.unwrap();
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!((&back, proxy.passed(), proxy.cuts()), (b"hello", 10, 0));
        // Ten bytes there, and of those that come back only two.
        proxy.cut_after(12);
        stream.write_all(b"0123456789").await.unwrap();
        let mut rest = Vec::new();
        let _ = crate::soon("the cut", stream.read_to_end(&mut rest)).await;
        assert_eq!((rest.as_slice(), proxy.cuts()), (b"01".as_slice(), 1));
    }

    #[tokio::test]
    async fn a_line_that_was_cut_carries_the_next_connection() {
        let proxy = Proxy::to(echoing().await).await;
        proxy.cut_after(0);
        assert_eq!(comes_back(&proxy, b"lost").await, b"");
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"again").await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!((&back, proxy.cuts()), (b"again", 1));
    }
}
