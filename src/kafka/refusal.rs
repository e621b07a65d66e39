//! What the brokers refuse, and what an operator has to do about it.

use std::collections::BTreeMap;

use rdkafka::error::RDKafkaErrorCode;

use super::access::Access;
use crate::config::{SignInSpec, TokenSpec};

/// A refusal that no waiting mends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody is let in under this name.
    Authentication,
    /// A right on a topic is missing.
    Topic,
    /// A right on the consumer group is missing.
    Group,
    /// A right on the cluster is missing.
    Cluster,
}

/// Whether an error is a refusal; all others are worth another attempt.
pub(super) fn refusal(code: RDKafkaErrorCode) -> Option<Refusal> {
    match code {
        RDKafkaErrorCode::Authentication
        | RDKafkaErrorCode::SaslAuthenticationFailed
        | RDKafkaErrorCode::UnsupportedSASLMechanism
        | RDKafkaErrorCode::IllegalSASLState => Some(Refusal::Authentication),
        RDKafkaErrorCode::TopicAuthorizationFailed => Some(Refusal::Topic),
        RDKafkaErrorCode::GroupAuthorizationFailed => Some(Refusal::Group),
        RDKafkaErrorCode::ClusterAuthorizationFailed => Some(Refusal::Cluster),
        _ => None,
    }
}

/// Who this program is to the brokers, for a sentence about rights.
pub(super) fn principal(access: &Access, properties: &BTreeMap<String, String>) -> String {
    match access.sign_in() {
        Some(SignInSpec::Password { username, .. }) => return format!("`User:{username}`"),
        Some(SignInSpec::Token(TokenSpec::AwsMskIam { .. })) => {
            return "the role that this program has in Amazon's cloud".to_owned();
        }
        Some(SignInSpec::Token(_)) => {
            return "whoever the token names (by default its claim `sub`)".to_owned();
        }
        None => {}
    }
    if access.tls().is_some_and(|tls| tls.identity.is_some()) {
        return "the subject of the certificate in [kafka.tls]".to_owned();
    }
    match properties.get("sasl.username") {
        Some(user) => format!("`User:{user}`"),
        None => "this client's principal (there is no `sasl.username`; a TLS certificate's \
                 subject, or `User:ANONYMOUS`)"
            .to_owned(),
    }
}

/// What a broker says, or librdkafka of it, on one line: a line end or a sequence for a
/// terminal in it would be one of our log.
pub(super) fn one_line(said: &str) -> String {
    let mut line = String::with_capacity(said.len());
    for c in said.chars() {
        match c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// So begins what is said where nobody is let in.
pub(super) const NOT_LET_IN: &str = "not let in";

/// What an operator has to grant, and to whom.
pub(super) fn explain(
    refusal: Refusal,
    topic: Option<&str>,
    group: &str,
    access: &Access,
    properties: &BTreeMap<String, String>,
    reason: &str,
) -> String {
    let principal = principal(access, properties);
    let remedy = match (refusal, topic) {
        (Refusal::Authentication, _) => {
            let remedy = let_in(access, properties, reason);
            return format!(
                "{NOT_LET_IN}: the brokers do not let in {principal}: {remedy} (what they say: \
                 {reason})"
            );
        }
        (Refusal::Topic, Some(topic)) => {
            format!("{principal} needs the rights READ and DESCRIBE on the topic `{topic}`")
        }
        (Refusal::Topic, None) => {
            format!("{principal} needs the rights READ and DESCRIBE on every declared topic")
        }
        (Refusal::Group, _) => format!("{principal} needs the right READ on the group `{group}`"),
        (Refusal::Cluster, _) => {
            format!("{principal} lacks a right on the cluster (DESCRIBE, IDEMPOTENT_WRITE)")
        }
    };
    format!("not authorised: {remedy} (the broker says: {reason})")
}

/// Why nobody is let in, as far as the brokers say it, and where to look.
fn let_in(access: &Access, properties: &BTreeMap<String, String>, reason: &str) -> String {
    let property = ["sasl.mechanism", "sasl.mechanisms"]
        .into_iter()
        .find_map(|name| properties.get(name).map(String::as_str));
    let (mechanism, place) = match access.sign_in() {
        Some(sign_in) => (sign_in.mechanism(), "[kafka.sign_in]"),
        None => (property.unwrap_or("this mechanism"), "[kafka.properties]"),
    };
    if is_out_of_turn(reason) {
        return "this listener knows no sign-in: leave it out, or choose another listener in \
                `brokers`"
            .to_owned();
    }
    if reason.contains("Unsupported SASL mechanism") || reason.contains("supported mechanisms") {
        let offered = offered(reason).map(|offered| format!(" but {offered}"));
        return format!(
            "this listener does not offer {mechanism}{}: choose another mechanism in {place}, or \
             another listener",
            offered.unwrap_or_default()
        );
    }
    match access.sign_in() {
        Some(SignInSpec::Password { .. }) => {
            "the user is unknown there, or the password is wrong; which of both the brokers do \
             not say: look at `username` and `password` in [kafka.sign_in]"
                .to_owned()
        }
        Some(SignInSpec::Token(TokenSpec::AwsMskIam { .. })) => {
            "its policy has to allow `kafka-cluster:Connect` on the cluster, and `region` has to \
             be that of the cluster"
                .to_owned()
        }
        Some(SignInSpec::Token(_)) => {
            "they refuse the token: compare its issuer, audience, scope and time with what the \
             listener expects"
                .to_owned()
        }
        None => "look at `security.protocol`, `sasl.mechanism`, the name and the password in \
                 [kafka.properties]"
            .to_owned(),
    }
}

/// Whether a broker expected no sign-in at that moment, or expects none at all.
pub(super) fn is_out_of_turn(reason: &str) -> bool {
    reason.contains("not valid in current SASL state")
}

/// `...: broker's supported mechanisms: PLAIN,SCRAM-SHA-512 (after 2ms in state ...)`.
fn offered(reason: &str) -> Option<&str> {
    let offered = reason.split_once("supported mechanisms: ")?.1;
    offered.split([' ', ')']).next().filter(|offered| !offered.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(refusal: Refusal, topic: Option<&str>, user: Option<&str>, reason: &str) -> String {
        let properties = user.map(|user| ("sasl.username".to_owned(), user.to_owned()));
        let properties = properties.into_iter().collect();
        explain(refusal, topic, "tg.a", &Access::default(), &properties, reason)
    }

    #[test]
    fn a_refusal_names_the_right_the_principal_and_the_topic() {
        assert_eq!(
            of(Refusal::Topic, Some("mail"), Some("gauge"), "denied"),
            "not authorised: `User:gauge` needs the rights READ and DESCRIBE on the topic \
             `mail` (the broker says: denied)"
        );
        let text = of(Refusal::Group, None, None, "denied");
        assert!(text.contains("READ on the group `tg.a`"), "{text}");
    }

    #[test]
    fn what_a_broker_says_stays_on_one_line() {
        assert_eq!(
            one_line("denied: \"gauge\"\nERROR \u{1b}[2J\r\u{9b}x\u{2028}é"),
            r#"denied: "gauge"\nERROR \u{1b}[2J\r\u{9b}x\u{2028}é"#
        );
    }

    #[test]
    fn a_mechanism_that_is_not_offered_is_told_with_those_that_are() {
        let reason = "sasl_ssl://b:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: \
                      Unsupported SASL mechanism: broker's supported mechanisms: \
                      SCRAM-SHA-512,OAUTHBEARER (after 2ms in state AUTH_HANDSHAKE)";
        let text = of(Refusal::Authentication, None, None, reason);
        assert!(text.contains("does not offer this mechanism but SCRAM-SHA-512,OAUTHBEARER:"));
    }
}
