//! The HTTP server: connections, their limits, and the task that follows reports.
//!
//! In: a bound listener, what is served, a future that ends when the process stops.
//! Out: responses. Why hyper under axum's router rather than `axum::serve`: a page that
//! an alert depends on needs timeouts and a bound on connections, which
//! `axum::serve` does not have.

mod hosts;
mod places;
mod progress;
mod routes;

use std::convert::Infallible;
use std::future::Future;
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
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Loading, Report, Site};
pub use hosts::Hosts;
use places::{Place, Places};
use progress::{Answer, Watched};
use routes::Pages;

/// Connections that wait to be let in.
const BACKLOG: u32 = 1_024;
/// Bytes of an answer that the kernel keeps for one client, which doubles them; by itself
/// it would keep megabytes for each that reads nothing.
const SEND_BUFFER: u32 = 256 * 1024;
/// How often a connection is looked at, whether it has had its time.
const LOOK: Duration = Duration::from_secs(1);
/// How long open requests may take once their connection is to close.
const CLOSING: Duration = Duration::from_secs(3);
/// Bound on a request's head, in bytes.
const HEAD_LIMIT: usize = 32 * 1024;

/// What is served, and to whom.
pub struct Served {
    /// What stays the same.
    pub site: Arc<Site>,
    /// The newest report, `None` before the first.
    pub reports: watch::Receiver<Option<Arc<Report>>>,
    /// How far the saved state is read before the first report.
    pub loading: Arc<Loading>,
    /// The names under which it may be asked for.
    pub hosts: Hosts,
}

/// Listens on an address: connections are taken from here on, and answered with
/// [`serve`]. Within a runtime.
///
/// # Errors
/// The address is taken, or not of this machine.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `/metrics`, `/healthz`, `/readyz` and the status page on `listener`,
/// until `shutdown` ends; open requests then have three seconds.
///
/// Errors of single connections are not errors of the server; it returns an error only
/// where the listener is unusable.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let Served { site, reports, loading, hosts } = served;
    let pages = Arc::new(Pages::new(site, loading));
    let follower = tokio::spawn(follow(reports, Arc::clone(&pages)));
    let router = routes::router(pages, hosts);
    let (close, closing) = watch::channel(());
    let places = Arc::new(Places::default());
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
                connections.spawn(connection(stream, place, router.clone(), closing.clone()));
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

async fn accept(listener: &TcpListener, places: &Arc<Places>) -> io::Result<(TcpStream, Place)> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, places.take(peer.ip()).await))
}

/// Serves one connection until either side has enough of it; what a client did wrong
/// on it is no concern of the operator.
async fn connection(
    stream: TcpStream,
    place: Place,
    router: Router,
    mut closing: watch::Receiver<()>,
) {
    let progress = &place.progress;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        progress.asked();
        let answer = router.call(request);
        async move {
            let answer = answer.await?;
            Ok::<_, Infallible>(answer.map(|body| Answer::new(body, Arc::clone(progress))))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(progress))), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = place.leave.notified() => return,
            _ = closing.changed() => break,
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
