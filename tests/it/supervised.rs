//! What systemd hears, with the real program and a socket in the place of systemd's.

use std::io::{Read, Write};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::kafka::{Kafka, free_port, wait_for};
use crate::support::process::wait_until;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An instance whose supervisor is the test.
struct Supervised {
    child: Child,
    heard: UnixDatagram,
    _folder: TempDir,
}

impl Supervised {
    /// Starts one that reads a topic, under a watchdog of so many seconds.
    fn start(kafka: &Kafka, topic: &str, watchdog: u64, stderr: impl Into<Stdio>) -> Supervised {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("tidegauge.toml");
        let configuration = format!(
            "[kafka]\nbrokers = \"{}\"\ngroup = \"{topic}\"\n\n[export]\nlisten = \
             \"127.0.0.1:{}\"\n\n[[topics]]\nname = \"{topic}\"\nformat = \"canonical\"\n",
            kafka.bootstrap(),
            free_port()
        );
        std::fs::write(&path, configuration).expect("a file");
        let socket = folder.path().join("notify");
        let heard = UnixDatagram::bind(&socket).expect("a socket");
        let child = Command::new(env!("CARGO_BIN_EXE_tidegauge"))
            .arg("run")
            .arg("--config")
            .arg(&path)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", (watchdog * 1_000_000).to_string())
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the program starts");
        Supervised { child, heard, _folder: folder }
    }

    /// The next message, one line for each thing that it says; `None` if none comes in time.
    fn next(&self, limit: Duration) -> Option<Vec<String>> {
        self.heard.set_read_timeout(Some(limit)).expect("a limit");
        let mut message = [0; 4_096];
        let length = self.heard.recv(&mut message).ok()?;
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Everything that is said until a line begins so.
    #[track_caller]
    fn until(&self, begins: &str) -> Vec<String> {
        let end = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while Instant::now() < end {
            for line in self.next(PATIENCE).unwrap_or_default() {
                let found = line.starts_with(begins);
                all.push(line);
                if found {
                    return all;
                }
            }
        }
        panic!("nobody said {begins}: {all:?}");
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signs_of_life(lines: &[String]) -> usize {
    lines.iter().filter(|line| *line == "WATCHDOG=1").count()
}

#[test]
fn systemd_hears_that_it_serves_how_it_is_and_that_it_stops() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("supervised", 1, &[]);
    let mut instance = Supervised::start(kafka, &topic, 2, Stdio::null());
    let mut lines = instance.until("STATUS=ready; ");
    assert_eq!(lines.first().map(String::as_str), Some("READY=1"), "{lines:?}");
    let status: Vec<&String> = lines.iter().filter(|line| line.starts_with("STATUS=")).collect();
    assert!(status[0].starts_with("STATUS=loading the saved state"), "{status:?}");
    while signs_of_life(&lines) < 4 {
        lines.extend(instance.until("WATCHDOG=1"));
    }
    let pid = instance.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    assert!(sent.success(), "the signal is sent");
    let last = instance.until("STOPPING=1");
    assert!(!last.iter().any(|line| line.starts_with("STATUS=failed")), "{last:?}");
    let ended = wait_until(
        PATIENCE,
        || instance.child.try_wait().expect("a child"),
        || "the program's end".to_owned(),
    );
    assert!(ended.success(), "{ended}");
    assert_eq!(instance.next(Duration::from_millis(1)), None, "nothing follows");
}

#[test]
fn why_it_ended_stands_beside_its_name() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("supervised", 1, &[("cleanup.policy", "compact")]);
    let instance = Supervised::start(kafka, &topic, 60, Stdio::null());
    let lines = instance.until("STATUS=failed: ");
    assert!(lines.iter().any(|line| line == "STOPPING=1"), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.contains(&topic)), "{lines:?}");
}

/// The log goes into a pipe from which nobody reads any more, as when the collector of
/// logs hangs: the engine is held up by the next line that it writes.
#[test]
fn a_stalled_engine_is_not_kept_alive() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("supervised", 1, &[]);
    let (mut log, writer) = std::io::pipe().expect("a pipe");
    let mut filler = writer.try_clone().expect("the pipe's other end");
    let instance = Supervised::start(kafka, &topic, 2, writer);
    instance.until("STATUS=ready; ");

    let filled = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&filled);
    std::thread::spawn(move || {
        // Byte by byte, so that no room is left for a short line.
        while filler.write_all(b"\n").is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut before = (0, Instant::now());
    wait_for("the pipe to be full", || {
        let now = filled.load(Ordering::Relaxed);
        if now != before.0 {
            before = (now, Instant::now());
        }
        (now > 0 && before.1.elapsed() > Duration::from_millis(300)).then_some(())
    });
    let producer = kafka.producer(&[]);
    let now = jiff::Timestamp::now();
    let odd = format!(r#"{{"id":"1","type":"nobody.knows_it","time":"{now}"}}"#);
    producer.send(&topic, None, Some(odd.as_bytes()), &[], None).expect("sent");
    producer.flush(Duration::from_secs(30)).expect("written");

    let before = instance.until("STATUS=stalled: ");
    assert!(signs_of_life(&before) > 0, "it lived until then: {before:?}");
    assert_eq!(instance.next(Duration::from_secs(4)), None, "a sign is due every second");

    std::thread::spawn(move || {
        let mut lines = [0; 4_096];
        while log.read(&mut lines).is_ok_and(|bytes| bytes > 0) {}
    });
    instance.until("WATCHDOG=1");
    instance.until("STATUS=ready; ");
}
