//! A network that can be cut: a TCP proxy on the loopback.
//!
//! It forwards every connection to one target, as [`Network`] says at the moment. What
//! a cut holds back is not lost: as with packets that are sent again, it arrives once
//! the network is back, if the connection is still there.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Everything is forwarded at once.
    Clear,
    /// Nothing is forwarded, and nobody is told: connections stay, and new ones seem to
    /// come about, as when packets vanish.
    Stalled,
    /// As [`Network::Stalled`], and the connections of now stay so for ever, as when a
    /// router has forgotten them; only new ones see the network come back.
    Lost,
    /// All connections are closed, and new ones at once, as when a host is restarted.
    Refused,
    /// Forwarded in chunks of at most 16 KiB, each held back for `delay`.
    Slow {
        /// Per chunk and direction.
        delay: Duration,
        /// Per connection and direction.
        bytes_per_second: u64,
    },
}

/// A running proxy. Connections end when it is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    target: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    network: Network,
    over: bool,
    /// Connections up to this number are lost.
    lost: u64,
    next: u64,
    /// Both sides of each connection, to be closed from here.
    open: HashMap<u64, Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port of the loopback. Nobody needs to listen on the target yet.
    pub(crate) fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state =
            State { network: Network::Clear, over: false, lost: 0, next: 0, open: HashMap::new() };
        let line = Arc::new(Line { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.lock().over {
                    return;
                }
                let line = Arc::clone(&accepting);
                thread::spawn(move || line.connect(client, target));
            }
        });
        Proxy { address, target, line }
    }

    /// Where clients connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where connections are forwarded to.
    pub(crate) fn target(&self) -> SocketAddr {
        self.target
    }

    /// From now on, for connections that are open as well.
    pub(crate) fn set(&self, network: Network) {
        let mut state = self.line.lock();
        state.network = network;
        match network {
            Network::Refused => state.close_all(),
            Network::Lost => state.lost = state.next,
            Network::Clear | Network::Stalled | Network::Slow { .. } => {}
        }
        self.line.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.over = true;
        state.close_all();
        self.line.changed.notify_all();
        drop(state);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn close_all(&mut self) {
        for side in self.open.drain().flat_map(|(_, sides)| sides) {
            let _ = side.shutdown(Shutdown::Both);
        }
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while nothing is forwarded on that connection; `None` when connections are
    /// not wanted.
    fn passable(&self, number: u64) -> Option<Network> {
        let state = self.lock();
        let stalled = |state: &mut State| {
            let cut = matches!(state.network, Network::Stalled | Network::Lost);
            let lost = number <= state.lost && state.open.contains_key(&number);
            (cut || lost) && !state.over
        };
        let state = self.changed.wait_while(state, stalled).unwrap_or_else(PoisonError::into_inner);
        (!state.over && state.network != Network::Refused).then_some(state.network)
    }

    fn connect(self: Arc<Self>, client: TcpStream, target: SocketAddr) {
        if self.passable(u64::MAX).is_none() {
            return;
        }
        let Ok(server) = TcpStream::connect(target) else { return };
        let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle");
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let number = {
            let mut state = self.lock();
            state.next += 1;
            let number = state.next;
            state.open.insert(number, vec![clone(&client), clone(&server)]);
            number
        };
        let back = (clone(&server), clone(&client));
        let line = Arc::clone(&self);
        let answering = thread::spawn(move || line.forward(number, back.0, back.1));
        self.forward(number, client, server);
        let _ = answering.join();
        self.lock().open.remove(&number);
    }

    /// One direction of a connection, until either side ends it.
    fn forward(&self, number: u64, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut chunk) {
            if let Some(Network::Slow { delay, bytes_per_second }) = self.passable(number) {
                let sending = length as f64 / bytes_per_second as f64;
                thread::sleep(delay + Duration::from_secs_f64(sending));
            }
            // It may have been cut meanwhile.
            if self.passable(number).is_none() || to.write_all(&chunk[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
