//! One instance over all its lives: a directory, a port, and a process that may be
//! killed, stopped for a while, and started again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::clock::Clock;
use crate::support::instance::{Metrics, get};
use crate::support::kafka::free_port;
use crate::support::process::wait_until;

pub(super) struct Replica {
    pub(super) name: &'static str,
    folder: PathBuf,
    address: String,
    pub(super) clock: Clock,
    process: Option<Child>,
    /// Lives so far.
    lives: u32,
}

impl Replica {
    /// Not started yet; everything of its own lies in `folder`.
    pub(super) fn new(name: &'static str, folder: &Path) -> Replica {
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let address = format!("127.0.0.1:{}", free_port());
        Replica { name, folder, address, clock: Clock::new(), process: None, lives: 0 }
    }

    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    /// Where it keeps its state.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn configuration_file(&self) -> PathBuf {
        self.folder.join("tidegauge.toml")
    }

    /// Writes the configuration of its next life.
    pub(super) fn configure(&self, configuration: &str) {
        let state = self.state().display().to_string();
        let text = configuration.replace("$LISTEN", &self.address).replace("$STATE", &state);
        fs::write(self.configuration_file(), text).expect("the configuration");
    }

    /// Any command of the program with this configuration. A shell in between ignores
    /// SIGXFSZ for it, as a full disk raises no signal either, and then becomes it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tidegauge")])
            .args(words)
            .arg("--config")
            .arg(self.configuration_file())
            .stdin(Stdio::null());
        command
    }

    pub(super) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        self.lives += 1;
        let log = File::create(self.folder.join(format!("log-{}", self.lives))).expect("a log");
        let mut command = self.command(&["run"]);
        self.clock.of(&mut command);
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        self.process = Some(child.expect("the program starts"));
    }

    /// Runs a command to its end: its status and all that it says.
    pub(super) fn run(&self, words: &[&str]) -> (ExitStatus, String) {
        let output = self.command(words).output().expect("the program starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, said + &String::from_utf8_lossy(&output.stdout))
    }

    fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Sends a signal by name to its own process.
    pub(super) fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(sent.expect("kill runs").success(), "SIG{name} is sent");
    }

    /// Kills it without a word.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is killed");
            process.wait().expect("it ends");
        }
    }

    /// Asks it to stop, and waits for its end.
    pub(super) fn terminate(&mut self) {
        self.signal("TERM");
        let status = self.wait_for_end(Duration::from_secs(30));
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log_end());
    }

    /// Waits until it ends by itself.
    pub(super) fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let log = self.log_path();
        let process = self.process.as_mut().expect("it runs");
        let status = wait_until(
            limit,
            || process.try_wait().expect("a child"),
            || format!("the end of {}:\n{}", log.display(), end_of(&log)),
        );
        self.process = None;
        status
    }

    /// That it has not ended by itself.
    pub(super) fn assert_runs(&mut self) {
        let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("a child"));
        assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", self.name, self.log_end());
    }

    /// How many bytes a file of its may have from now on; `None`: as many as it likes.
    pub(super) fn limit_files(&self, bytes: Option<u64>) {
        let limit = match bytes {
            Some(bytes) => format!("--fsize={bytes}:unlimited"),
            None => "--fsize=unlimited:unlimited".to_owned(),
        };
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(self.pid().to_string()).arg(limit);
        let status = command.status().expect("prlimit (Debian: apt-get install util-linux)");
        assert!(status.success(), "the limit is set");
    }

    pub(super) fn metrics(&self) -> Option<Metrics> {
        match get(&format!("http://{}/metrics", self.address)) {
            Some((200, page)) => Some(Metrics::parse(&page)),
            _ => None,
        }
    }

    /// Whether it says that it is ready.
    pub(super) fn is_ready(&self) -> bool {
        get(&format!("http://{}/readyz", self.address)).is_some_and(|(status, _)| status == 200)
    }

    /// Why it is not ready.
    pub(super) fn readiness(&self) -> String {
        get(&format!("http://{}/readyz", self.address))
            .map_or_else(|| "nobody answers".to_owned(), |(_, text)| text)
    }

    /// Waits until it says that it is ready.
    pub(super) fn wait_ready(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while !self.is_ready() {
            self.assert_runs();
            assert!(
                Instant::now() < end,
                "{} is not ready within {limit:?}: {}\n{}",
                self.name,
                self.readiness(),
                self.log_end()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join(format!("log-{}", self.lives))
    }

    /// All that it has said in this life.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last that it has said.
    pub(super) fn log_end(&self) -> String {
        end_of(&self.log_path())
    }
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
