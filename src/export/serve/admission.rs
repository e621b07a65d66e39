//! Who is let in to a page: those who have signed in, where that is asked for, and probes.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::connection::Client;
use super::routes::{TEXT, respond};
use crate::export::web::{Refusal, SignIn, Web};

const SIGN_IN: &str = "\
This server asks who you are: sign in with a name and a password, a token, or a
certificate, as its web configuration declares. /healthz and /readyz answer everybody.
";

/// Whether a request is of somebody who may see everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    Everything,
    /// Whether the instance is well, and no more.
    Health,
}

/// Lets requests in whose client has signed in, where that is asked for, and probes, which
/// have no password.
pub(super) async fn admit(
    State(web): State<Option<Arc<Web>>>,
    Extension(client): Extension<Client>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(web) = web else {
        request.extensions_mut().insert(Sees::Everything);
        return next.run(request).await;
    };
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    // A probe that brings a password is a guess like any other.
    let limited = !probe || request.headers().contains_key(header::AUTHORIZATION);
    if limited && let Err(wait) = web.allow() {
        web.refuse(Refusal::RateLimited, client.peer);
        return too_many(wait);
    }
    let sees = match web.sign_in(request.headers(), client.peer, client.certificate).await {
        SignIn::NotAsked | SignIn::Done => Sees::Everything,
        SignIn::Refused(Refusal::NoCredentials) if probe => Sees::Health,
        SignIn::Refused(refusal) => {
            web.refuse(refusal, client.peer);
            if refusal == Refusal::RateLimited {
                return too_many(Duration::from_secs(1));
            }
            if !probe {
                return unauthorized(&web);
            }
            Sees::Health
        }
    };
    request.extensions_mut().insert(sees);
    next.run(request).await
}

fn too_many(wait: Duration) -> Response {
    let mut response = respond(StatusCode::TOO_MANY_REQUESTS, TEXT, "too many requests\n");
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

fn unauthorized(web: &Web) -> Response {
    let challenges = web.challenges();
    // A certificate alone is nothing that HTTP could ask for.
    let status = match challenges.is_empty() {
        true => StatusCode::FORBIDDEN,
        false => StatusCode::UNAUTHORIZED,
    };
    let mut response = respond(status, TEXT, SIGN_IN);
    for challenge in challenges {
        response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
