//! Who a request comes from: a password, a token, or the certificate of its connection.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::clients::ClientCertificates;
use super::passwords::{Judged, Passwords};
use super::refusals::Refusal;
use super::spec::InForce;
use super::tokens;

/// What became of a request's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum SignIn {
    /// Nobody is asked.
    NotAsked,
    /// It is one of those who may see everything.
    Done,
    /// It is not, or not said to be.
    Refused(Refusal),
}

impl InForce {
    /// Whether somebody is asked who they are.
    pub(super) fn asks(&self) -> bool {
        self.asks_for_words() || self.clients() != ClientCertificates::NotAsked
    }

    /// What stood between figures and everybody under `before`, and would no more.
    pub(super) fn opens(&self, before: &InForce) -> Option<&'static str> {
        if before.asks() && !self.asks() {
            return Some("nobody would be asked any more who they are");
        }
        let plain = before.tls.is_some() && self.tls.is_none();
        plain.then_some("TLS would be spoken no more")
    }

    /// Whether passwords or tokens are asked for.
    pub(super) fn asks_for_words(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }

    fn clients(&self) -> ClientCertificates {
        self.tls.as_ref().map_or(ClientCertificates::NotAsked, |tls| tls.clients)
    }

    /// What a client that did not sign in is told of the ways to.
    pub(super) fn challenges(&self) -> Vec<HeaderValue> {
        let basic = HeaderValue::from_static("Basic realm=\"Tidegauge\", charset=\"UTF-8\"");
        let bearer = HeaderValue::from_static("Bearer realm=\"Tidegauge\"");
        let ways = [(!self.users.is_empty(), basic), (!self.tokens.is_empty(), bearer)];
        ways.into_iter().filter(|(is_one, _)| *is_one).map(|(_, way)| way).collect()
    }
}

/// Looks at what a request of `peer` brings; `certificate` is whether its connection showed
/// a right one.
pub(super) async fn look(
    in_force: &InForce,
    passwords: &Passwords,
    headers: &HeaderMap,
    peer: IpAddr,
    certificate: bool,
) -> SignIn {
    let words = in_force.asks_for_words();
    match in_force.clients() {
        ClientCertificates::NotAsked if !words => return SignIn::NotAsked,
        ClientCertificates::NotAsked => {}
        _ if !certificate && !words => return SignIn::Refused(Refusal::NoCredentials),
        // Where a certificate is demanded of all, words are demanded as well.
        ClientCertificates::Required if words => {}
        _ if certificate => return SignIn::Done,
        _ => {}
    }
    let mut told = headers.get_all(header::AUTHORIZATION).iter();
    let told = match (told.next(), told.next()) {
        (None, _) => return SignIn::Refused(Refusal::NoCredentials),
        (Some(told), None) => told,
        (Some(_), Some(_)) => return SignIn::Refused(Refusal::Unreadable),
    };
    let Some((scheme, words)) = told.to_str().ok().and_then(|told| told.split_once(' ')) else {
        return SignIn::Refused(Refusal::Unreadable);
    };
    let words = words.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return match tokens::knows(&in_force.tokens, words.as_bytes()) {
            true => SignIn::Done,
            false => SignIn::Refused(Refusal::WrongToken),
        };
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return SignIn::Refused(Refusal::Unreadable);
    }
    let decoded = STANDARD.decode(words).ok().and_then(|words| String::from_utf8(words).ok());
    let Some((user, password)) = decoded.as_deref().and_then(|words| words.split_once(':')) else {
        return SignIn::Refused(Refusal::Unreadable);
    };
    if in_force.users.is_empty() {
        return SignIn::Refused(Refusal::WrongPassword);
    }
    match passwords.judge(&in_force.users, user, password, peer).await {
        Judged::Right => SignIn::Done,
        Judged::Wrong => SignIn::Refused(Refusal::WrongPassword),
        Judged::TooMany => SignIn::Refused(Refusal::RateLimited),
    }
}
