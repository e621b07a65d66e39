//! The records that are fetched, many with one call.
//!
//! rdkafka gives one record a poll, with an allocation and four looks at the clock.
//! librdkafka hands over many at once, but throws away whatever else is said on the same
//! queue. So the partitions are led to a queue of their own, and all else stays on the
//! consumer's queue, where rdkafka polls it. With [`super::bootstrap`] and
//! [`super::topic_id`] this is all that speaks to librdkafka's C interface directly.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, RDKafkaErrorCode};

use super::client::Consumer;
use super::shared::lock;
use super::topic_id::{Owned, millis};
use crate::event::Header;

/// Records taken with one call at most.
const AT_ONCE: usize = 256;

/// Where the records of one consumer are taken.
pub(super) struct RecordQueue {
    /// Room for what is taken: librdkafka allows one call at a time.
    room: Mutex<Room>,
    queue: Owned<native::rd_kafka_queue_t>,
    /// Outlives the queue.
    client: Arc<Consumer>,
}

type Room = Vec<*mut native::rd_kafka_message_t>;

// SAFETY: librdkafka's queues and messages may be used by any thread.
#[allow(unsafe_code)]
unsafe impl Send for RecordQueue {}
// SAFETY: as above; the messages are behind a lock.
#[allow(unsafe_code)]
unsafe impl Sync for RecordQueue {}

#[allow(unsafe_code)]
impl RecordQueue {
    pub(super) fn new(client: Arc<Consumer>) -> Self {
        // SAFETY: the client is alive, and outlives the queue.
        let queue = unsafe { native::rd_kafka_queue_new(client.client().native_ptr()) };
        let queue = Owned::new(queue, native::rd_kafka_queue_destroy)
            .expect("librdkafka ends the process where there is no memory");
        RecordQueue { room: Mutex::new(Vec::with_capacity(AT_ONCE)), queue, client }
    }

    /// Leads a partition's records here, those that wait elsewhere among them. To be said
    /// before it is assigned, so that none goes to the consumer's queue, and after it, since
    /// giving a partition up ends it.
    pub(super) fn lead_here(&self, topic: &str, partition: i32) {
        // A name with a zero byte is no topic's.
        let Ok(topic) = CString::new(topic) else { return };
        let client = self.client.client().native_ptr();
        // SAFETY: the client is alive; the name is zero-terminated, and copied.
        let of = unsafe { native::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        if let Some(of) = Owned::new(of, native::rd_kafka_queue_destroy) {
            // SAFETY: both queues are alive; the first holds its own reference to the other.
            unsafe { native::rd_kafka_queue_forward(of.get(), self.queue.get()) }
        }
    }

    /// Takes what is there, [`AT_ONCE`] at most; where there is a wait, one record.
    pub(super) fn poll(&self, wait: Duration) -> Taken<'_> {
        let mut messages = lock(&self.room);
        let at_most = if wait.is_zero() { AT_ONCE } else { 1 };
        // A part of a millisecond would be no wait at all.
        let wait = wait.saturating_add(Duration::from_micros(999));
        // SAFETY: there is room for so many pointers, and librdkafka says how many it has
        // written. They are freed with what is given here, and by nobody else.
        unsafe {
            let taken = native::rd_kafka_consume_batch_queue(
                self.queue.get(),
                millis(wait),
                messages.as_mut_ptr(),
                at_most,
            );
            messages.set_len(usize::try_from(taken).unwrap_or(0));
        }
        Taken { all: messages.len() < at_most, messages }
    }
}

/// Records, and errors among them.
pub(super) struct Taken<'q> {
    /// No more was there.
    pub(super) all: bool,
    messages: MutexGuard<'q, Room>,
}

impl Taken<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// In the order in which they were fetched.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record<'_>, FetchError>> {
        let messages = self.messages.iter().filter_map(|message| NonNull::new(*message));
        messages.map(|message| Record { message, taken: PhantomData }.checked())
    }
}

#[allow(unsafe_code)]
impl Drop for Taken<'_> {
    fn drop(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: the queue gave it, nothing borrows it, and nobody else frees it.
            unsafe { native::rd_kafka_message_destroy(message) }
        }
    }
}

/// An error that librdkafka queues among the records.
pub(super) struct FetchError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
    /// Of which partition, if it says.
    pub(super) of: Option<(String, i32)>,
}

/// One record of those that are taken.
pub(super) struct Record<'q> {
    message: NonNull<native::rd_kafka_message_t>,
    taken: PhantomData<&'q Taken<'q>>,
}

#[allow(unsafe_code)]
impl<'q> Record<'q> {
    fn native(&self) -> &'q native::rd_kafka_message_t {
        // SAFETY: the message lives as long as what was taken, which is borrowed.
        unsafe { self.message.as_ref() }
    }

    fn checked(self) -> Result<Self, FetchError> {
        let message = self.native();
        if !message.err.is_error() {
            return Ok(self);
        }
        let of = (!message.rkt.is_null()).then(|| (self.topic().to_owned(), message.partition));
        let reason = String::from_utf8_lossy(self.value().unwrap_or_default()).into_owned();
        Err(FetchError { code: message.err.into(), reason, of })
    }

    pub(super) fn topic(&self) -> &'q str {
        // SAFETY: a record has a topic, which lives as long as the message; its name is
        // zero-terminated. Names of topics are ASCII.
        let name = unsafe { CStr::from_ptr(native::rd_kafka_topic_name(self.native().rkt)) };
        name.to_str().unwrap_or_default()
    }

    pub(super) fn partition(&self) -> i32 {
        self.native().partition
    }

    pub(super) fn offset(&self) -> i64 {
        self.native().offset
    }

    /// Milliseconds, if it has a timestamp.
    pub(super) fn timestamp(&self) -> Option<i64> {
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive; `kind` is where the kind of timestamp goes.
        let millis =
            unsafe { native::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        let none = kind == native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (!none && millis >= 0).then_some(millis)
    }

    pub(super) fn key(&self) -> Option<&'q [u8]> {
        let message = self.native();
        // SAFETY: the bytes live as long as the message.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    pub(super) fn value(&self) -> Option<&'q [u8]> {
        let message = self.native();
        // SAFETY: as above.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    /// Its headers; librdkafka allocates for a record that has none, too. Any producer may
    /// send one whose name is not UTF-8: it is left out, which is `said` once.
    pub(super) fn headers(&self, said: &mut bool) -> Vec<Header<'q>> {
        let (mut read, mut headers) = (Vec::new(), std::ptr::null_mut());
        // SAFETY: the message is alive, and keeps what it gives.
        let error =
            unsafe { native::rd_kafka_message_headers(self.message.as_ptr(), &raw mut headers) };
        if error.is_error() || headers.is_null() {
            return read;
        }
        // SAFETY: the headers are not null, and alive as long as the message.
        for index in 0..unsafe { native::rd_kafka_header_cnt(headers) } {
            // SAFETY: as above, and there are more than `index`.
            match unsafe { header(headers, index) } {
                Some(header) => read.push(header),
                None if *said => {}
                None => {
                    *said = true;
                    tracing::warn!(
                        "a header of `{}` has a name that is not UTF-8 and is left out (said once)",
                        self.topic()
                    );
                }
            }
        }
        read
    }
}

/// `None` if its name is not UTF-8.
///
/// # Safety
/// `headers` are not null, live as long as `'q`, and are more than `index`.
#[allow(unsafe_code)]
unsafe fn header<'q>(headers: *mut native::rd_kafka_headers_t, index: usize) -> Option<Header<'q>> {
    let (mut name, mut value, mut len) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: as the caller promises. The name, which is zero-terminated, and the value live
    // as long as the headers.
    unsafe {
        let error = native::rd_kafka_header_get_all(
            headers,
            index,
            &raw mut name,
            &raw mut value,
            &raw mut len,
        );
        if error.is_error() || name.is_null() {
            return None;
        }
        Some((CStr::from_ptr(name).to_str().ok()?, bytes(value.cast(), len)))
    }
}

/// # Safety
/// `start` is null, or points at so many bytes that live as long as `'q`.
#[allow(unsafe_code)]
unsafe fn bytes<'q>(start: *const u8, len: usize) -> Option<&'q [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(unsafe { std::slice::from_raw_parts(start, len) })
}
