//! A socket of which all reads and writes together have a deadline.
//!
//! A limit for each, which is all that the standard library has, lets a peer that drips
//! single bytes hold whoever reads for hours.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The socket; what is not done by the deadline is an error of the kind `TimedOut` or
/// `WouldBlock`.
pub struct Timed {
    /// Connected.
    pub stream: TcpStream,
    /// May be moved between reads.
    pub deadline: Instant,
}

/// The time up to a deadline.
///
/// # Errors
/// There is none: `TimedOut`.
pub fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left(self.deadline)?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
