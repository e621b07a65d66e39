//! What a connection waits for, and how long it may.
//!
//! In: what is read from a socket and written to it, when a request is whole, and when
//! its answer is made. Out: since when the client makes the server wait, and whether
//! that is too long.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// From the connection, or the first byte of a further request, to the end of its head.
const HEAD: Duration = Duration::from_secs(5);
/// Between two requests: longer than the usual minute between two scrapes.
const IDLE: Duration = Duration::from_secs(75);
/// For the client to read something of its answer.
const STILL: Duration = Duration::from_secs(5);
/// For the client to read all of it. No scrape may take longer than the interval to the
/// next, and what is read slowly keeps an old page in memory.
const ANSWER: Duration = Duration::from_secs(30);

/// How far a connection is with its request and answer.
pub(super) struct Progress(Mutex<State>);

struct State {
    waits: Waits,
    /// When something was last achieved.
    since: Instant,
    /// When the newest request was whole.
    asked: Instant,
    /// Whether all of the answer is with the connection.
    made: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// For the client to send the rest of a request.
    ForHead,
    /// For the client to ask again, if it wants to.
    Idle,
    /// For this server.
    ForAnswer,
    /// For the client to read.
    ForReader,
}

impl Progress {
    pub(super) fn new() -> Progress {
        let now = Instant::now();
        Progress(Mutex::new(State { waits: Waits::ForHead, since: now, asked: now, made: false }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is whole at any moment: a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is whole.
    pub(super) fn asked(&self) {
        let now = Instant::now();
        *self.state() = State { waits: Waits::ForAnswer, since: now, asked: now, made: false };
    }

    fn read(&self) {
        let mut state = self.state();
        if state.waits == Waits::Idle {
            state.waits = Waits::ForHead;
            state.since = Instant::now();
        }
    }

    fn made(&self) {
        self.state().made = true;
    }

    /// TLS is agreed upon.
    pub(super) fn secured(&self) {
        self.state().since = Instant::now();
    }

    fn written(&self) {
        let mut state = self.state();
        // TLS answers a client that asks for new keys, which achieves nothing.
        if matches!(state.waits, Waits::ForAnswer | Waits::ForReader) {
            state.since = Instant::now();
            state.waits = Waits::ForAnswer;
        }
    }

    fn blocked(&self) {
        let mut state = self.state();
        if state.waits == Waits::ForAnswer {
            state.waits = Waits::ForReader;
        }
    }

    /// Nothing is left to be written.
    fn flushed(&self) {
        let mut state = self.state();
        if state.made && matches!(state.waits, Waits::ForAnswer | Waits::ForReader) {
            state.waits = Waits::Idle;
            state.since = Instant::now();
        }
    }

    /// Since when the client makes the server wait; none while it waits itself.
    pub(super) fn still_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.waits != Waits::ForAnswer).then_some(state.since)
    }

    /// Whether the client has had its time.
    pub(super) fn is_overdue(&self) -> bool {
        let state = self.state();
        let still = state.since.elapsed();
        match state.waits {
            Waits::ForHead => still >= HEAD,
            Waits::Idle => still >= IDLE,
            Waits::ForReader => still >= STILL || state.asked.elapsed() >= ANSWER,
            Waits::ForAnswer => state.asked.elapsed() >= ANSWER,
        }
    }
}

/// A socket that tells of its progress.
pub(super) struct Watched {
    stream: TcpStream,
    progress: Arc<Progress>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, progress: Arc<Progress>) -> Watched {
        Watched { stream, progress }
    }

    fn tell(&self, written: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(1..)) => self.progress.written(),
            Poll::Ready(_) => {}
            Poll::Pending => self.progress.blocked(),
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.progress.read();
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.tell(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.tell(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.progress.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of an answer that tells when all of it is with the connection.
pub(super) struct Answer {
    body: Body,
    progress: Arc<Progress>,
}

impl Answer {
    pub(super) fn new(body: Body, progress: Arc<Progress>) -> Answer {
        Answer { body, progress }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.progress.made();
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
