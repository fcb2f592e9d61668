//! Connections that may not stay: who sends no request, or does not read the answer, is cut off, and there are only so
//! many at once ([`Places`]). A stalled reader of the metrics costs nothing but its place.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::places::{Guest, Place, Places};

/// From the first byte of a request to the first byte of its answer: longer than control may take.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long an answer may find no room because nobody reads.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may carry nothing: longer than a scrape interval.
const IDLE: Duration = Duration::from_secs(75);

/// A listener whose connections are guarded.
pub(super) struct Guarded {
    listener: TcpListener,
    places: Arc<Places>,
}

impl Guarded {
    pub(super) fn new(listener: TcpListener, places: Arc<Places>) -> Self {
        Self { listener, places }
    }
}

impl Listener for Guarded {
    type Io = Connection<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.listener.accept().await {
                // Without a place it is closed again.
                Ok((stream, address)) => {
                    if let Some(place) = self.places.take(address) {
                        return (Connection::new(stream, Some(place)), address);
                    }
                }
                // Out of descriptors, most likely: wait for one to come back instead of spinning.
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Guarded>> for Guest {
    fn connect_info(stream: IncomingStream<'_, Guarded>) -> Self {
        // Only tests have connections without a place, and they serve nothing on them.
        stream.io().place.as_ref().expect("an accepted connection has a place").guest()
    }
}

/// What a connection is at, for how long it may be at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing yet, or the last answer is out.
    Nothing,
    /// A request has begun and no byte of its answer is out.
    Asking,
    /// The answer finds no room.
    Stuck,
}

/// One connection and its deadline.
pub(super) struct Connection<S> {
    stream: S,
    doing: Doing,
    deadline: Pin<Box<Sleep>>,
    place: Option<Place>,
}

impl<S> Connection<S> {
    fn new(stream: S, place: Option<Place>) -> Self {
        Self { stream, doing: Doing::Nothing, deadline: Box::pin(sleep(IDLE)), place }
    }

    /// The deadline runs from when it began to do this; for nothing, from its last byte.
    fn now(&mut self, doing: Doing) {
        if self.doing == doing && doing != Doing::Nothing {
            return;
        }
        self.doing = doing;
        let within = match doing {
            Doing::Nothing => IDLE,
            Doing::Asking => REQUEST_WITHIN,
            Doing::Stuck => READ_WITHIN,
        };
        self.deadline.set(sleep_until(Instant::now() + within));
    }

    /// Whether its place is another's now.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        self.place.as_mut().is_some_and(|place| place.poll_ended(context).is_ready())
    }

    /// Pending until the deadline, an error after it.
    fn patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.deadline.as_mut().poll(context));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > before && self.doing == Doing::Nothing {
                    self.now(Doing::Asking);
                }
                Poll::Ready(read)
            }
            Poll::Pending => self.patience(context).map(Err),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_over(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Ready(written) => {
                self.now(Doing::Nothing);
                Poll::Ready(written)
            }
            Poll::Pending => {
                self.now(Doing::Stuck);
                self.patience(context).map(Err)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    /// Seconds until reading or writing fails, on a clock that nobody waits for.
    async fn lasts(connection: &mut Connection<tokio::io::DuplexStream>, write: bool) -> u64 {
        let began = Instant::now();
        let mut buffer = [0; 64];
        loop {
            let failed = if write {
                connection.write_all(&buffer).await.is_err()
            } else {
                connection.read(&mut buffer).await.is_err()
            };
            if failed {
                return began.elapsed().as_secs();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_cut_off_after_75_s() {
        let (ours, _theirs) = duplex(1024);
        assert_eq!(lasts(&mut Connection::new(ours, None), false).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_cut_off_10_s_after_its_first_byte() {
        let (ours, mut theirs) = duplex(1024);
        tokio::spawn(async move {
            while theirs.write_all(b"G").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(lasts(&mut Connection::new(ours, None), false).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_the_answer_is_cut_off_after_5_s() {
        let (ours, _theirs) = duplex(1024);
        assert_eq!(lasts(&mut Connection::new(ours, None), true).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_makes_room_for_the_next_request() {
        let (ours, mut theirs) = duplex(1024);
        let mut connection = Connection::new(ours, None);
        for _ in 0..10 {
            theirs.write_all(b"GET").await.unwrap();
            let mut buffer = [0; 3];
            connection.read_exact(&mut buffer).await.unwrap();
            connection.write_all(b"200").await.unwrap();
            theirs.read_exact(&mut buffer).await.unwrap();
            sleep(Duration::from_mins(1)).await;
        }
    }
}
