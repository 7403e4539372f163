//! A host that answers the UnionPay echo test (0820 with 60.3 = 301), and a terminal that sends it.
//!
//! ```text
//! cargo run -p tms-examples --example tokio_framing
//! ```

use std::error::Error;

use futures::{SinkExt, StreamExt};
use iso8583::codec::{CodecError, FrameCodec};
use iso8583::framing::{Frame, Framing};
use iso8583::{Builder, Dialect, Message, Mti};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

/// The longest frame that either side takes, after its length.
const MAX_FRAME_BYTES: usize = 4096;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let dialect = Dialect::builtin("unionpay").ok_or("no such dialect")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    let host = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        serve(stream, dialect).await
    });
    ask(TcpStream::connect(address).await?, dialect).await?;
    host.await?
}

/// Answers every echo test until the peer leaves.
async fn serve(stream: TcpStream, dialect: &Dialect) -> Result<(), Failure> {
    let mut frames = Framed::new(stream, FrameCodec::new(dialect.framing(), MAX_FRAME_BYTES));
    while let Some(frame) = frames.next().await {
        let frame = match frame {
            Err(CodecError::Frame(error)) => {
                eprintln!("host: not a frame: {error}");
                return Ok(());
            }
            frame => frame?,
        };
        let request = Message::parse(dialect, &frame.body)?;
        show("host received", &request);
        if request.text("60.3").as_deref() != Some("301") {
            return Err("only echo tests are answered here".into());
        }
        let mut reply = Builder::reply_to(&request, &[11, 41, 42, 60])?;
        reply.set(39, "00")?;
        // The TPDU goes back swapped, the header as it came.
        frames.send(frame.as_frame().reply(&reply.build()?)).await?;
    }
    Ok(())
}

/// Sends one echo test and shows what comes back.
async fn ask(stream: TcpStream, dialect: &Dialect) -> Result<(), Failure> {
    let mut frames = Framed::new(stream, FrameCodec::new(Framing::LEN2_TPDU_HEADER, MAX_FRAME_BYTES));
    let mut echo = Builder::new(dialect, "0820".parse::<Mti>()?);
    echo.set(11, "000042")?.set(41, "99999906")?.set(42, "999999999999906")?.set(60, "00000001301")?;
    let body = echo.build()?;
    let (tpdu, header) = (Some("6000030000".parse()?), Some("603100310001".parse()?));
    frames.send(Frame { tpdu, header, body: &body, ..Frame::default() }).await?;

    let frame = frames.next().await.ok_or("the host closed the connection")??;
    println!("terminal received {frame:?}");
    show("terminal received", &Message::parse(dialect, &frame.body)?);
    Ok(())
}

/// Prints what may be printed: card numbers, tracks, PINs and keys are masked.
fn show(what: &str, message: &Message<'_>) {
    println!("{what} {}", message.mti());
    for field in message.fields() {
        println!("  {:>3} {:<32} {}", field.number(), field.format().name(), field.masked());
    }
}
