//! A running `tidegauge run`, as its users run it: a process with a configuration
//! file, looked at over HTTP.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::clock::Clock;
use super::kafka::free_port;
use super::process::wait_until;

/// A process, ended with this value.
pub(crate) struct Instance {
    child: Child,
    folder: TempDir,
    pub(crate) address: String,
}

impl Instance {
    /// Starts the program; `configuration` is given `$LISTEN` for its address.
    pub(crate) fn start(configuration: &str) -> Instance {
        Self::start_at(free_port(), configuration)
    }

    /// As [`Instance::start`], on a port that is chosen.
    pub(crate) fn start_at(port: u16, configuration: &str) -> Instance {
        Self::launch(port, configuration, &[], None, &[])
    }

    /// As [`Instance::start`], with more arguments of `run`.
    pub(crate) fn start_with(configuration: &str, arguments: &[&str]) -> Instance {
        Self::launch(free_port(), configuration, arguments, None, &[])
    }

    /// As [`Instance::start`], under a clock that may be wrong.
    pub(crate) fn start_under(clock: &Clock, configuration: &str) -> Instance {
        Self::launch(free_port(), configuration, &[], Some(clock), &[])
    }

    /// As [`Instance::start`], with more in its environment.
    pub(crate) fn start_in(environment: &[(&str, &str)], configuration: &str) -> Instance {
        Self::launch(free_port(), configuration, &[], None, environment)
    }

    fn launch(
        port: u16,
        configuration: &str,
        arguments: &[&str],
        clock: Option<&Clock>,
        environment: &[(&str, &str)],
    ) -> Instance {
        let folder = TempDir::new().expect("a folder");
        let address = format!("127.0.0.1:{port}");
        let path = folder.path().join("tidegauge.toml");
        std::fs::write(&path, configuration.replace("$LISTEN", &address)).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
        command.arg("run").arg("--config").arg(&path).args(arguments);
        command.envs(environment.iter().copied());
        if let Some(clock) = clock {
            clock.of(&mut command);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the program starts");
        Instance { child, folder, address }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Status and body of a page; `None` while nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&format!("http://{}{path}", self.address))
    }

    /// The page of metrics.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let (status, page) = self
            .get("/metrics")
            .unwrap_or_else(|| panic!("no answer from {}; its log:\n{}", self.address, self.log()));
        assert_eq!(status, 200, "{page}");
        Metrics::parse(&page)
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub(crate) fn wait_ready(&mut self) {
        let mut last = String::new();
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some((status, text)) = self.get("/readyz") {
                if status == 200 {
                    return;
                }
                last = text;
            }
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "it ended: {ended:?}; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("not ready within a minute: {last}; its log:\n{}", self.log());
    }

    /// Waits until the page of metrics is as `look` wants it.
    #[track_caller]
    pub(crate) fn wait_metrics<T>(
        &self,
        waits_for: &str,
        mut look: impl FnMut(&Metrics) -> Option<T>,
    ) -> T {
        let mut last = None;
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some((200, page)) = self.get("/metrics") {
                let metrics = Metrics::parse(&page);
                if let Some(found) = look(&metrics) {
                    return found;
                }
                last = Some(page);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let page = last.unwrap_or_default();
        let page: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        panic!(
            "waited a minute in vain for {waits_for}; log:\n{}\nlast page:\n{}",
            self.log(),
            page.join("\n")
        );
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait_for_end(mut self, limit: Duration) -> (ExitStatus, String) {
        let process = &mut self.child;
        let status = wait_until(
            limit,
            || process.try_wait().expect("its status"),
            || "the end of the process".to_owned(),
        );
        (status, self.log())
    }

    /// Kills it without a word; gives what it had logged.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ends");
        self.log()
    }

    /// Sends SIGTERM and waits for the end.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success(), "the signal is sent");
        let status = wait_until(
            Duration::from_secs(30),
            || self.child.try_wait().expect("a child"),
            || "the program's end".to_owned(),
        );
        (status, self.log())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body; `None` while nobody answers.
pub(crate) fn get(url: &str) -> Option<(u16, String)> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into();
    let mut response = agent.get(url).call().ok()?;
    let status = response.status().as_u16();
    let mut body = String::new();
    response.body_mut().as_reader().read_to_string(&mut body).ok()?;
    Some((status, body))
}

pub(crate) type Labels = BTreeMap<String, String>;

/// The samples of a page in text format 0.0.4, by family and labels.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    samples: BTreeMap<String, Vec<(Labels, f64)>>,
}

impl Metrics {
    /// Reads a page; independent of the encoder.
    pub(crate) fn parse(page: &str) -> Metrics {
        let mut metrics = Metrics::default();
        for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, labels, value) = parse_sample(line).expect(line);
            metrics.samples.entry(name).or_default().push((labels, value));
        }
        metrics
    }

    /// Every sample of the page: family, labels, value.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (&str, &Labels, f64)> {
        self.samples.iter().flat_map(|(family, samples)| {
            samples.iter().map(|(labels, value)| (family.as_str(), labels, *value))
        })
    }

    /// The samples of a family that have these labels among theirs.
    pub(crate) fn all(&self, family: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let matches = |of: &Labels| {
            labels.iter().all(|(name, value)| of.get(*name).is_some_and(|there| there == value))
        };
        let samples = self.samples.get(family).map_or(&[][..], Vec::as_slice);
        samples.iter().filter(|(of, _)| matches(of)).map(|(_, value)| *value).collect()
    }

    /// The one sample of a family that has these labels among its own, if there is
    /// one.
    #[track_caller]
    pub(crate) fn one(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let found = self.all(family, labels);
        assert!(found.len() <= 1, "{family}{labels:?} is ambiguous: {found:?}");
        found.first().copied()
    }

    /// The sum over the samples of a family that have these labels among theirs.
    pub(crate) fn sum(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(family, labels).iter().sum()
    }

    /// Whether both ledgers balance for every topic.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        let ledgers = [
            ("tidegauge_ledger_records", "read", &["decoded", "empty", "ignored", "rejected"][..]),
            (
                "tidegauge_ledger_events",
                "decoded",
                &["counted", "duplicate", "late", "future", "ignored", "rejected"][..],
            ),
        ];
        for (family, whole, parts) in ledgers {
            for (labels, _) in self.samples.get(family).expect("a ledger") {
                let topic = labels["topic"].as_str();
                let of =
                    |outcome: &str| self.sum(family, &[("topic", topic), ("outcome", outcome)]);
                let sum: f64 = parts.iter().map(|part| of(part)).sum();
                assert_eq!(of(whole), sum, "{family} of {topic}");
            }
        }
    }
}

fn parse_sample(line: &str) -> Option<(String, Labels, f64)> {
    let (name, mut rest) = match line.find(['{', ' '])? {
        at if line.as_bytes()[at] == b'{' => (&line[..at], &line[at + 1..]),
        at => return Some((line[..at].into(), BTreeMap::new(), line[at + 1..].parse().ok()?)),
    };
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(label.trim_start_matches(',').to_owned(), value);
        rest = &after[end + 1..];
    }
    Some((name.into(), labels, rest[1..].trim().parse().ok()?))
}
