//! How long a connection waits for its peer: for a request's head, between requests, and for an answer to be taken.
//!
//! hyper has one time limit for a head and for the pause before it. A pause may be long (proxies keep connections for 60 s),
//! a head may not, so the times are kept here, under hyper, where bytes arrive.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::limits::Limits;

/// Says whether a request is being answered; while it is, the handler's own time limits count.
///
/// Counts starts and ends together, so that an answer that took no time is seen as well: odd is busy.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

impl Busy {
    /// Busy until the guard is dropped.
    pub(super) fn start(&self) -> BusyGuard {
        self.0.fetch_add(1, Ordering::AcqRel);
        BusyGuard(self.clone())
    }
}

/// Ends [`Busy`] when dropped.
#[derive(Debug)]
pub(super) struct BusyGuard(Busy);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head: the connection is new, or its first byte is here.
    Head,
    /// Nothing: a request is being answered.
    Answering,
    /// The peer: it takes the answer, then sends the next request or nothing.
    Idle,
}

/// A stream that fails with `TimedOut` when its peer lets it wait too long.
#[derive(Debug)]
pub(super) struct Patience<S> {
    stream: S,
    busy: Busy,
    seen: usize,
    phase: Phase,
    deadline: Pin<Box<Sleep>>,
    head_time: Duration,
    idle_time: Duration,
}

impl<S> Patience<S> {
    pub(super) fn new(stream: S, limits: &Limits, busy: Busy) -> Self {
        let deadline = Box::pin(tokio::time::sleep(limits.head_time));
        Self { stream, busy, seen: 0, phase: Phase::Head, deadline, head_time: limits.head_time, idle_time: limits.idle_time }
    }

    fn enter(&mut self, phase: Phase) {
        let patience = match phase {
            Phase::Head => self.head_time,
            Phase::Answering | Phase::Idle => self.idle_time,
        };
        self.phase = phase;
        self.deadline.as_mut().reset(Instant::now() + patience);
    }

    /// Takes over what the handler did since the last look.
    fn look(&mut self) {
        let count = self.busy.0.load(Ordering::Acquire);
        if count != self.seen {
            self.seen = count;
            self.enter(if count % 2 == 1 { Phase::Answering } else { Phase::Idle });
        }
    }

    /// Nothing could be read or written: goes on waiting, or gives up.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.phase {
            Phase::Answering => Poll::Pending,
            Phase::Head | Phase::Idle => {
                self.deadline.as_mut().poll(context).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer let us wait too long")))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.look();
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => self.wait(context),
            Poll::Ready(result) => {
                if self.phase == Phase::Idle && buffer.filled().len() > before {
                    self.enter(Phase::Head);
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.look();
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.wait(context),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.look();
        match Pin::new(&mut self.stream).poll_write_vectored(context, parts) {
            Poll::Pending => self.wait(context),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look();
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => self.wait(context),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look();
        match Pin::new(&mut self.stream).poll_shutdown(context) {
            Poll::Pending => self.wait(context),
            ready @ Poll::Ready(_) => ready,
        }
    }
}
