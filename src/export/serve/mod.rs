//! The HTTP server: connections, their limits, and the task that follows reports.
//!
//! In: a bound listener, what is served, a future that ends when the process stops.
//! Out: responses. Why hyper under axum's router rather than `axum::serve`: a page that
//! an alert depends on needs timeouts and a bound on connections, which
//! `axum::serve` does not have.

mod admission;
mod connection;
mod hosts;
mod places;
mod progress;
mod routes;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::web::Web;
use super::{Loading, Report, Site};
use connection::{CLOSING, Host};
pub use hosts::Hosts;
use places::{Place, Places};
use routes::Pages;

/// Connections that wait to be let in.
const BACKLOG: u32 = 1_024;
/// Bytes of an answer that the kernel keeps for one client, which doubles them; by itself
/// it would keep megabytes for each that reads nothing.
const SEND_BUFFER: u32 = 256 * 1024;
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
    /// TLS and signing in; `None` where everybody may see everything.
    pub web: Option<Arc<Web>>,
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
    let Served { site, reports, loading, hosts, web } = served;
    let pages = Arc::new(Pages::new(site, loading, web.clone()));
    let mut followers = JoinSet::new();
    followers.spawn(follow(reports, Arc::clone(&pages)));
    if let Some(web) = &web {
        followers.spawn(Arc::clone(web).follow());
    }
    let (close, closing) = watch::channel(());
    let host = Host { router: routes::router(pages, hosts, web.clone()), web, closing };
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
            Ok((stream, peer, place)) => {
                connections.spawn(host.clone().receive(stream, peer, place));
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
    followers.shutdown().await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Places>,
) -> io::Result<(TcpStream, SocketAddr, Place)> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, places.take(peer.ip()).await))
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
