//! The ids that the brokers gave topics when they were created: the only thing that
//! tells a topic from another one of the same name.
//!
//! rdkafka has no call for them; librdkafka has one since 2.3.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::client::{Consumer, REQUEST_TIMEOUT};

/// Longer than the request may take, so that its answer, or its failure, arrives.
const PATIENCE: Duration = REQUEST_TIMEOUT.saturating_add(Duration::from_secs(2));

/// What a broker before Kafka 2.8 gives: all bits zero.
pub(super) const NO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// The ids as base64, of those topics that exist and have one. Asks that broker, once
/// (librdkafka alone would wait for the controller, which need not be known), and waits for
/// its answer for at most seven seconds. Nothing but the lack of an
/// answer is an error: brokers that do not know the request give no ids.
pub(super) fn topic_ids(
    client: &Consumer,
    broker: i32,
    topics: &[&str],
) -> KafkaResult<HashMap<String, String>> {
    // A name with a zero byte is no topic's.
    let names: Vec<CString> = topics.iter().filter_map(|name| CString::new(*name).ok()).collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let described = describe(client, broker, &names, false, name_and_id);
    match described.map(|described| described.into_iter().collect()) {
        Err(KafkaError::MetadataFetch(code)) if !is_silence(code) => {
            tracing::debug!("the brokers give no ids of topics: {code}");
            Ok(HashMap::new())
        }
        answer => answer,
    }
}

/// Nobody answered; another attempt may have one.
fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::NetworkException
    )
}

/// Frees what librdkafka gave when it goes out of scope.
pub(super) struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `None` where librdkafka gave nothing. `free` must be the function that frees what
    /// the pointer points at, and nobody else may free it.
    pub(super) fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Owned { pointer, free })
    }

    pub(super) fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

#[allow(unsafe_code)]
impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: the pointer is not null, `free` belongs to it, and this is the only
        // place where it is called, once.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// Out of memory, or an answer that is none.
fn nothing() -> KafkaError {
    KafkaError::MetadataFetch(RDKafkaErrorCode::Fail)
}

fn failed(error: RDKafkaRespErr) -> KafkaResult<()> {
    if error.is_error() { Err(KafkaError::MetadataFetch(error.into())) } else { Ok(()) }
}

pub(super) fn millis(duration: Duration) -> c_int {
    c_int::try_from(duration.as_millis()).unwrap_or(c_int::MAX)
}

/// A question to the brokers: how it is asked, and where its answer comes.
pub(super) struct Asked {
    queue: Owned<native::rd_kafka_queue_t>,
    options: Owned<native::rd_kafka_AdminOptions_t>,
}

#[allow(unsafe_code)]
impl Asked {
    /// Of one broker, or of the one that is responsible; with what this program may do, if
    /// that is wanted.
    pub(super) fn new(
        client: &Consumer,
        operation: native::rd_kafka_admin_op_t,
        broker: Option<i32>,
        with_rights: bool,
    ) -> KafkaResult<Asked> {
        let client = client.client().native_ptr();
        // SAFETY: the client outlives this call, being borrowed by the caller.
        let (queue, options) = unsafe {
            let queue = native::rd_kafka_queue_new(client);
            let options = native::rd_kafka_AdminOptions_new(client, operation);
            (
                Owned::new(queue, native::rd_kafka_queue_destroy),
                Owned::new(options, native::rd_kafka_AdminOptions_destroy),
            )
        };
        let (Some(queue), Some(options)) = (queue, options) else { return Err(nothing()) };
        let mut said = [0; 256];
        // SAFETY: the options are alive, and `said` is as long as is said.
        failed(unsafe {
            native::rd_kafka_AdminOptions_set_request_timeout(
                options.get(),
                millis(REQUEST_TIMEOUT),
                said.as_mut_ptr(),
                said.len(),
            )
        })?;
        if let Some(broker) = broker {
            // SAFETY: as above.
            failed(unsafe {
                native::rd_kafka_AdminOptions_set_broker(
                    options.get(),
                    broker,
                    said.as_mut_ptr(),
                    said.len(),
                )
            })?;
        }
        if with_rights {
            // SAFETY: as above; an error is freed as soon as it is out of scope.
            let error = Owned::new(
                unsafe {
                    native::rd_kafka_AdminOptions_set_include_authorized_operations(
                        options.get(),
                        1,
                    )
                },
                native::rd_kafka_error_destroy,
            );
            if error.is_some() {
                return Err(nothing());
            }
        }
        Ok(Asked { queue, options })
    }

    pub(super) fn queue(&self) -> *mut native::rd_kafka_queue_t {
        self.queue.get()
    }

    pub(super) fn options(&self) -> *mut native::rd_kafka_AdminOptions_t {
        self.options.get()
    }

    /// Waits for the answer for at most seven seconds. One that comes after the queue was
    /// given up is freed by librdkafka.
    pub(super) fn answer(&self) -> KafkaResult<Owned<native::rd_kafka_event_t>> {
        // SAFETY: the queue is alive.
        let event = unsafe { native::rd_kafka_queue_poll(self.queue(), millis(PATIENCE)) };
        let Some(event) = Owned::new(event, native::rd_kafka_event_destroy) else {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
        };
        // SAFETY: the event is alive.
        failed(unsafe { native::rd_kafka_event_error(event.get()) })?;
        Ok(event)
    }
}

/// What is to be known of topics, by what `view` sees of each: it is given a description
/// that lives as long as its call.
#[allow(unsafe_code)]
pub(super) fn describe<T>(
    client: &Consumer,
    broker: i32,
    names: &[CString],
    with_rights: bool,
    view: unsafe fn(*const native::rd_kafka_TopicDescription_t) -> Option<T>,
) -> KafkaResult<Vec<T>> {
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    let asked = Asked::new(client, operation, Some(broker), with_rights)?;
    let mut list: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the names are zero-terminated, live until the end of this function, and are
    // copied by the call; `list` has as many entries as is said.
    let topics =
        unsafe { native::rd_kafka_TopicCollection_of_topic_names(list.as_mut_ptr(), list.len()) };
    let Some(topics) = Owned::new(topics, native::rd_kafka_TopicCollection_destroy) else {
        return Err(nothing());
    };
    // SAFETY: client, collection, options and queue are alive; the call copies the names and
    // the options, and holds its own reference to the queue.
    unsafe {
        native::rd_kafka_DescribeTopics(
            client.client().native_ptr(),
            topics.get(),
            asked.options(),
            asked.queue(),
        );
    }
    let event = asked.answer()?;
    // SAFETY: the event is alive until the end of this function, and the result, which is
    // null for an event of another kind, is a view of it.
    let result = unsafe { native::rd_kafka_event_DescribeTopics_result(event.get()) };
    if result.is_null() {
        return Err(nothing());
    }
    let mut count = 0;
    // SAFETY: the result is not null and alive; `count` is where the length goes.
    let topics = unsafe { native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    if topics.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: librdkafka says that there are that many pointers, which live as long as
    // the event.
    let topics = unsafe { std::slice::from_raw_parts(topics, count) };
    // SAFETY: each is a description that lives as long as the event.
    Ok(topics.iter().filter_map(|topic| unsafe { view(*topic) }).collect())
}

/// # Safety
/// `topic` is null, or a description that lives at least as long as this call.
#[allow(unsafe_code)]
unsafe fn name_and_id(
    topic: *const native::rd_kafka_TopicDescription_t,
) -> Option<(String, String)> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: the description is alive; what these give are views of it. The text of an
    // id lives as long as the id. Strings are zero-terminated.
    unsafe {
        let error = native::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && native::rd_kafka_error_code(error).is_error() {
            return None;
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return None;
        }
        let name = text(native::rd_kafka_TopicDescription_name(topic))?;
        let id = text(native::rd_kafka_Uuid_base64str(id))?;
        (id != NO_ID).then_some((name, id))
    }
}

/// # Safety
/// `text` is null, or points at a zero-terminated string that lives at least as long as
/// this call.
#[allow(unsafe_code)]
unsafe fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }.to_str().ok().map(str::to_owned)
}
