//! Rights on a broker. rdkafka has no call for them; librdkafka has.

use std::ffi::{CString, c_char};
use std::ptr;

use rdkafka::bindings::{
    self as native, rd_kafka_AclOperation_t as Operation, rd_kafka_ResourceType_t as Resource,
};

use super::kafka::{Kafka, wait_for};

pub(crate) const READ: Operation = Operation::RD_KAFKA_ACL_OPERATION_READ;
pub(crate) const WRITE: Operation = Operation::RD_KAFKA_ACL_OPERATION_WRITE;
pub(crate) const DESCRIBE: Operation = Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE;
pub(crate) const DESCRIBE_CONFIGS: Operation = Operation::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS;

/// Allows a user, such as `User:gauge`, these operations on a topic.
pub(crate) fn allow_topic(kafka: &Kafka, user: &str, topic: &str, operations: &[Operation]) {
    for operation in operations {
        allow(kafka, user, Resource::RD_KAFKA_RESOURCE_TOPIC, topic, *operation);
    }
}

/// The same on all groups whose names begin so.
pub(crate) fn allow_group(kafka: &Kafka, user: &str, prefix: &str, operations: &[Operation]) {
    for operation in operations {
        allow(kafka, user, Resource::RD_KAFKA_RESOURCE_GROUP, prefix, *operation);
    }
}

#[allow(unsafe_code)]
fn allow(kafka: &Kafka, user: &str, resource: Resource, name: &str, operation: Operation) {
    use native::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW as ALLOW;
    use native::rd_kafka_ResourcePatternType_t as Pattern;
    let pattern = match resource {
        Resource::RD_KAFKA_RESOURCE_GROUP => Pattern::RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
        _ => Pattern::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
    };
    let client = kafka.admin().inner().native_ptr();
    let text = |text: &str| CString::new(text).expect("no zero byte");
    let (name, user, host) = (text(name), text(user), text("*"));
    let mut said: [c_char; 256] = [0; 256];
    // SAFETY: the client outlives this call; texts are zero-terminated and copied; what is
    // made here is freed here, after the answer has come.
    unsafe {
        let mut binding = native::rd_kafka_AclBinding_new(
            resource,
            name.as_ptr(),
            pattern,
            user.as_ptr(),
            host.as_ptr(),
            operation,
            ALLOW,
            said.as_mut_ptr(),
            said.len(),
        );
        assert!(!binding.is_null(), "a right that can be granted");
        let queue = native::rd_kafka_queue_new(client);
        native::rd_kafka_CreateAcls(client, &raw mut binding, 1, ptr::null(), queue);
        let event = wait_for("the right", || {
            let event = native::rd_kafka_queue_poll(queue, 100);
            (!event.is_null()).then_some(event)
        });
        let error = native::rd_kafka_event_error(event);
        assert_eq!(error, native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
        native::rd_kafka_event_destroy(event);
        native::rd_kafka_queue_destroy(queue);
        native::rd_kafka_AclBinding_destroy(binding);
    }
}
