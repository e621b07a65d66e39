//! A server as a child process: started on a free port, awaited, ended on drop.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take until it is ready.
const START: Duration = Duration::from_secs(60);
/// How often a condition is looked at again.
pub(crate) const POLL: Duration = Duration::from_millis(100);

/// A running server.
pub(crate) struct Server {
    child: Child,
    base: String,
    log: PathBuf,
}

impl Server {
    /// Starts what `command` makes of a free loopback address, and waits until its
    /// `ready` path answers 200. A port that was taken meanwhile is tried again.
    pub(crate) fn start(folder: &Path, ready: &str, command: impl Fn(&str) -> Command) -> Server {
        let mut last = String::new();
        for attempt in 0..3 {
            let address = free_address();
            let log = folder.join(format!("server-{attempt}.log"));
            let file = File::create(&log).expect("a log file can be made");
            let error = file.try_clone().expect("a log file can be shared");
            let child = command(&address)
                .stdin(Stdio::null())
                .stdout(file)
                .stderr(error)
                .spawn()
                .expect("an installed server can be started");
            let mut server = Server { child, base: format!("http://{address}"), log };
            match server.wait(ready) {
                Ok(()) => return server,
                Err(why) => last = format!("{why}\n{}", server.log()),
            }
        }
        panic!("the server does not get ready: {last}");
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait(&mut self, ready: &str) -> Result<(), String> {
        let end = Instant::now() + START;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if ureq::get(format!("{}{ready}", self.base)).call().is_ok() {
                return Ok(());
            }
            sleep(POLL);
        }
        Err(format!("not ready after {START:?}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Where an installed program is, or how to install it.
#[track_caller]
pub(crate) fn installed(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/bin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed: apt-get install {package}"))
}

/// Looks again and again until `look` gives something, or panics with what `tell`
/// says when `limit` is over.
#[track_caller]
pub(crate) fn wait_until<T>(
    limit: Duration,
    mut look: impl FnMut() -> Option<T>,
    tell: impl FnOnce() -> String,
) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {}", tell());
        sleep(POLL);
    }
}
