//! Under which names pages may be asked for.
//!
//! A web page elsewhere can let its own name point to this address, and a browser then
//! takes what is here for a part of that page: the name in the request gives it away.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header;
use axum::http::uri::Authority;

/// The names of this server, whatever the port.
#[derive(Debug, Clone)]
pub struct Hosts {
    /// Lower case; none where every name is right.
    names: Option<Vec<String>>,
    /// Whether addresses other than those of the loopback are right.
    any_address: bool,
}

impl Hosts {
    /// Of a server that listens at `listen`. On the loopback `localhost`, addresses of
    /// the loopback and `names` are right; elsewhere every name is, unless there are
    /// `names`: then these, `localhost` and all addresses are.
    pub fn new(listen: IpAddr, names: &[String]) -> Hosts {
        let loopback = listen.to_canonical().is_loopback();
        let named = loopback || !names.is_empty();
        Hosts {
            names: named.then(|| names.iter().map(|name| plain(name)).collect()),
            any_address: !loopback,
        }
    }

    /// Whether a request has come to the right server.
    pub(super) fn admit(&self, request: &Request) -> bool {
        let Some(names) = &self.names else { return true };
        let mut told = request.headers().get_all(header::HOST).iter();
        let host = match (told.next(), told.next()) {
            (None, _) => request.version() < axum::http::Version::HTTP_11,
            (Some(host), None) => {
                let host = Authority::try_from(host.as_bytes());
                host.is_ok_and(|host| self.admits(names, &host))
            }
            (Some(_), Some(_)) => false,
        };
        host && request.uri().authority().is_none_or(|host| self.admits(names, host))
    }

    fn admits(&self, names: &[String], host: &Authority) -> bool {
        if host.as_str().contains('@') {
            return false;
        }
        let name = plain(host.host());
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        match address.unwrap_or(&name).parse::<IpAddr>() {
            Ok(address) => {
                self.any_address || address.to_canonical().is_loopback() || names.contains(&name)
            }
            Err(_) => name == "localhost" || names.contains(&name),
        }
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listen: &str, names: &[&str], host: &str, expected: bool) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let hosts = Hosts::new(listen.parse().expect("an address"), &names);
        let request = Request::builder().uri("/").header("Host", host);
        let request = request.body(axum::body::Body::empty()).expect("a request");
        assert_eq!(hosts.admit(&request), expected, "{host} at {listen} with {names:?}");
    }

    #[test]
    fn on_the_loopback_only_its_own_names_are_right() {
        for host in
            ["localhost", "LOCALHOST:9184", "localhost.", "127.0.0.1:80", "127.8.8.8", "[::1]:9184"]
        {
            check("127.0.0.1", &[], host, true);
            check("::1", &["kpis.internal"], host, true);
            check("::ffff:127.0.0.1", &[], host, true);
        }
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1", "[2001:db8::1]", "", "a b"]
        {
            check("127.0.0.1", &[], host, false);
        }
        check("127.0.0.1", &[], "evil@localhost", false);
        check("127.0.0.1", &["KPIs.internal"], "kpis.Internal:443", true);
        check("127.0.0.1", &["kpis.internal"], "kpis.internal.evil.example", false);
    }

    #[test]
    fn elsewhere_names_are_right_unless_some_are_given() {
        check("0.0.0.0", &[], "anything.example", true);
        check("10.0.0.1", &[], "", true);
        check("0.0.0.0", &["kpis.internal"], "anything.example", false);
        check("0.0.0.0", &["kpis.internal"], "kpis.internal", true);
        // Those who look after its health ask for an address, which no name can feign.
        check("0.0.0.0", &["kpis.internal"], "10.0.0.7:9184", true);
        check("::", &["kpis.internal"], "[2001:db8::1]:9184", true);
    }
}
