//! Where the secret goes with which tokens are asked for: to the provider, and nowhere else.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::instance::Instance;
use crate::support::kafka::wait_for;
use crate::support::tokens::{CLIENT, Provider, Signer};

fn configuration(url: &str) -> String {
    format!(
        "[kafka]\nbrokers = \"127.0.0.1:1\"\n[kafka.sign_in]\nmechanism = \"OAUTHBEARER\"\n\
         token_url = \"{url}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\nscope = \"kafka \
         read\"\n[[topics]]\nname = \"email\"\nformat = \"canonical\"\n[state]\ndirectory = \
         \"off\"\n[export]\nlisten = \"$LISTEN\"\n",
        CLIENT.0, CLIENT.1
    )
}

#[test]
fn a_secret_is_in_no_log_and_at_no_proxy_whatever_is_asked_for() {
    let provided = Provider::start(Arc::new(Signer::new()), Duration::from_secs(60), None);
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.set_nonblocking(true).expect("a listener");
    let named = format!("http://{}", proxy.local_addr().expect("an address"));
    let environment =
        [("RUST_LOG", "trace"), ("ALL_PROXY", &named), ("HTTP_PROXY", &named), ("NO_PROXY", "")];
    let instance = Instance::start_in(&environment, &configuration(&provided.url()));
    wait_for("a token", || (provided.given() > 0).then_some(()));
    wait_for("traces", || instance.log().contains("TRACE").then_some(()));
    assert!(proxy.accept().is_err(), "nobody comes to the proxy");
    let (_, log) = instance.terminate();
    assert!(log.contains("DEBUG"), "{log}");
    let pair = STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
    for secret in [CLIENT.1, &pair, "access_token"] {
        assert!(!log.contains(secret), "{secret} is shown");
    }
}
