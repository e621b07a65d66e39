//! What the brokers say that this program may do. rdkafka has no call for it; librdkafka
//! has one since 2.3.

use std::ffi::{CString, c_char};

use rdkafka::bindings::{self as native, rd_kafka_AclOperation_t as Operation};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{IsError as _, KafkaResult, RDKafkaErrorCode};

use crate::kafka::client::Consumer;
use crate::kafka::topic_id::{self, Asked};

/// The rights that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rights {
    pub(super) read: bool,
    pub(super) write: bool,
}

/// What may be done with a topic that exists; `None` where the brokers do not say.
pub(super) fn on_topic(client: &Consumer, broker: i32, topic: &str) -> KafkaResult<Option<Rights>> {
    let Ok(name) = CString::new(topic) else { return Ok(None) };
    let said = topic_id::describe(client, broker, &[name], true, of_topic)?;
    Ok(said.into_iter().next())
}

/// # Safety
/// `topic` is null, or a description that lives at least as long as this call.
#[allow(unsafe_code)]
unsafe fn of_topic(topic: *const native::rd_kafka_TopicDescription_t) -> Option<Rights> {
    if topic.is_null() {
        return None;
    }
    let mut count = 0;
    // SAFETY: the description is alive; what it gives is a view of it, as long as it says.
    unsafe {
        let list = native::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        rights(list, count)
    }
}

/// # Safety
/// `list` is null, or points at that many operations.
#[allow(unsafe_code)]
unsafe fn rights(list: *const Operation, count: usize) -> Option<Rights> {
    if list.is_null() || count == 0 {
        return None;
    }
    // SAFETY: as the caller promises.
    let list = unsafe { std::slice::from_raw_parts(list, count) };
    let has =
        |wanted| list.contains(&wanted) || list.contains(&Operation::RD_KAFKA_ACL_OPERATION_ALL);
    Some(Rights {
        read: has(Operation::RD_KAFKA_ACL_OPERATION_READ),
        write: has(Operation::RD_KAFKA_ACL_OPERATION_WRITE),
    })
}

/// What may be done with a consumer group, which need not exist; `None` where the brokers
/// do not say. The error is the brokers'.
#[allow(unsafe_code)]
pub(super) fn on_group(client: &Consumer, group: &str) -> Result<Option<Rights>, RDKafkaErrorCode> {
    let Ok(name) = CString::new(group) else { return Ok(None) };
    let code = |error: rdkafka::error::KafkaError| {
        error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)
    };
    let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let asked = Asked::new(client, operation, None, true).map_err(code)?;
    let mut names: [*const c_char; 1] = [name.as_ptr()];
    // SAFETY: client, options and queue are alive; the name is zero-terminated, and is
    // copied by the call.
    unsafe {
        native::rd_kafka_DescribeConsumerGroups(
            client.client().native_ptr(),
            names.as_mut_ptr(),
            names.len(),
            asked.options(),
            asked.queue(),
        );
    }
    let event = asked.answer().map_err(code)?;
    let (mut count, mut rights_count) = (0, 0);
    // SAFETY: the event is alive until the end of this function; each of the others is a
    // view of the one before it, and looked at only if it is there.
    unsafe {
        let result = native::rd_kafka_event_DescribeConsumerGroups_result(event.get());
        if result.is_null() {
            return Ok(None);
        }
        let groups = native::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if groups.is_null() || count == 0 {
            return Ok(None);
        }
        let error = native::rd_kafka_ConsumerGroupDescription_error(*groups);
        if !error.is_null() {
            let error = native::rd_kafka_error_code(error);
            if error.is_error() {
                return Err(error.into());
            }
        }
        let list = native::rd_kafka_ConsumerGroupDescription_authorized_operations(
            *groups,
            &raw mut rights_count,
        );
        Ok(rights(list, rights_count))
    }
}
