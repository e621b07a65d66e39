//! One connection: TLS first, where it is spoken, then requests, within their times.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, sink};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::places::Place;
use super::progress::{Answer, Watched};
use crate::export::web::Web;

/// From the connection to the end of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often a connection is looked at, whether it has had its time.
const LOOK: Duration = Duration::from_secs(1);
/// How long open requests may take once their connection is to close.
pub(super) const CLOSING: Duration = Duration::from_secs(3);
/// Bound on a request's head, in bytes.
const HEAD_LIMIT: usize = 32 * 1024;
/// The first byte of every handshake: the type of its record (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;

const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\n\
    Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n\
    X-Frame-Options: SAMEORIGIN\r\n\
    Connection: close\r\n\r\n\
    This port speaks HTTPS: ask for https:// instead.\r\n";

/// Who sits at the other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    pub(super) peer: SocketAddr,
    /// Whether it showed a certificate, which then was right.
    pub(super) certificate: bool,
}

/// What every connection is served with.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) router: Router,
    pub(super) web: Option<Arc<Web>>,
    /// Changes when the server stops.
    pub(super) closing: watch::Receiver<()>,
}

impl Host {
    /// Serves one connection until either side has enough of it. What a client did wrong
    /// on it is no concern of the operator, but for who was refused.
    pub(super) async fn receive(self, stream: TcpStream, peer: SocketAddr, place: Place) {
        // A connection of what was in force when it began ends with that.
        let changed = self.web.as_ref().map(|web| web.changes());
        let changed = async move {
            match changed {
                Some(changed) => changed.await,
                None => std::future::pending().await,
            }
        };
        let tls = self.web.as_ref().and_then(|web| Some((Arc::clone(web), web.tls()?)));
        let Some((web, tls)) = tls else {
            let stream = Watched::new(stream, Arc::clone(&place.progress));
            let client = Client { peer, certificate: false };
            return self.converse(stream, client, place, changed).await;
        };
        let mut closing = self.closing.clone();
        let secured = tokio::select! {
            secured = timeout(HANDSHAKE, secure(stream, tls, &place)) => secured,
            () = place.leave.notified() => return,
            _ = closing.changed() => return,
        };
        match secured {
            Ok(Ok(Some(stream))) => {
                place.progress.secured();
                let certificate = stream.get_ref().1.peer_certificates().is_some();
                let client = Client { peer, certificate };
                self.converse(stream, client, place, changed).await;
            }
            Ok(Ok(None)) => web.refuse_plain(peer),
            Ok(Err(error)) => web.refuse_handshake(&error, peer),
            Err(_) => tracing::debug!(%peer, "a client took too long for a handshake"),
        }
    }

    async fn converse(
        mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        client: Client,
        place: Place,
        changed: impl Future<Output = ()>,
    ) {
        let progress = &place.progress;
        let router = TowerToHyperService::new(self.router);
        let service = service_fn(|mut request: Request<Incoming>| {
            progress.asked();
            request.extensions_mut().insert(client);
            let answer = router.call(request);
            async move {
                let answer = answer.await?;
                Ok::<_, Infallible>(answer.map(|body| Answer::new(body, Arc::clone(progress))))
            }
        });
        let connection = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection, changed);
        loop {
            tokio::select! {
                _ = connection.as_mut() => return,
                () = place.leave.notified() => return,
                _ = self.closing.changed() => break,
                () = changed.as_mut() => break,
                () = sleep(LOOK) => {
                    if progress.is_overdue() {
                        return;
                    }
                }
            }
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(CLOSING, connection).await;
    }
}

/// Agrees upon TLS; `None` for one who speaks plain HTTP, who is told so.
async fn secure(
    mut stream: TcpStream,
    tls: Arc<ServerConfig>,
    place: &Place,
) -> io::Result<Option<TlsStream<Watched>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE_RECORD] {
        if first[0].is_ascii_uppercase() {
            stream.write_all(PLAIN).await?;
            stream.shutdown().await?;
            // What is closed with something unread takes the answer with it.
            let mut unread = stream.take(HEAD_LIMIT as u64);
            let _ = timeout(LOOK, copy(&mut unread, &mut sink())).await;
        }
        return Ok(None);
    }
    let stream = Watched::new(stream, Arc::clone(&place.progress));
    TlsAcceptor::from(tls).accept(stream).await.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_to_plain_clients_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(PLAIN);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
