//! The HTTP server: connections, their limits, and the task that follows reports.
//!
//! In: a bound listener, reports, a future that ends when the process stops. Out:
//! responses. Why hyper under axum's router rather than `axum::serve`: a page that
//! an alert depends on needs timeouts and a bound on connections, which
//! `axum::serve` does not have.

mod routes;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Report, Site};
use routes::Pages;

/// Connections at once; more wait in the listener's backlog.
const CONNECTIONS: usize = 256;
/// Longest wait for a request's head. It also ends idle connections, so it is
/// longer than the usual minute between two scrapes.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Longest life of a connection, so that a client that reads nothing does not hold
/// its place for ever.
const CONNECTION_LIFE: Duration = Duration::from_secs(600);
/// How long open requests may take once their connection is to close.
const CLOSING: Duration = Duration::from_secs(3);
/// Bound on a request's head, in bytes.
const HEAD_LIMIT: usize = 32 * 1024;

/// Serves `/metrics`, `/healthz`, `/readyz` and the status page on `listener`,
/// until `shutdown` ends; open requests then have three seconds.
///
/// `reports` holds the newest report, `None` before the first. Errors of single
/// connections are not errors of the server; it returns an error only where the
/// listener is unusable.
pub async fn serve(
    listener: TcpListener,
    reports: watch::Receiver<Option<Arc<Report>>>,
    site: Arc<Site>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let pages = Arc::new(Pages::new(site));
    let follower = tokio::spawn(follow(reports, Arc::clone(&pages)));
    let router = routes::router(pages);
    let (close, closing) = watch::channel(());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                let connection = connection(stream, router.clone(), closing.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of file descriptors, or a client that left at once: both pass.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    drop(close);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(CLOSING + Duration::from_secs(1), drained).await;
    follower.abort();
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn connection(stream: TcpStream, router: Router, mut closing: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // What a client did wrong on its connection is no concern of the operator.
        _ = connection.as_mut() => return,
        _ = closing.changed() => {}
        () = sleep(CONNECTION_LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(CLOSING, connection).await;
}

/// Takes in every report, until the engine is gone.
async fn follow(mut reports: watch::Receiver<Option<Arc<Report>>>, pages: Arc<Pages>) {
    loop {
        let report = reports.borrow_and_update().clone();
        if let Some(report) = report {
            pages.take_in(report);
        }
        if reports.changed().await.is_err() {
            return;
        }
    }
}
