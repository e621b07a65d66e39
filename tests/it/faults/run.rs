//! A run: rounds of production with faults, and what must hold at their ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::compare::{self, Comparison, Truth};
use super::event::{Burst, Maker};
use super::letters;
use super::log::Log;
use super::moment::{SECOND, floor, now};
use super::plan::{Round, rounds};
use super::producer::TruthfulProducer;
use super::random::Random;
use super::replica::Replica;
use super::report::Progress;
use super::transactions::Transaction;
use super::watch::Watch;
use super::world::World;
use crate::support::instance::Metrics;

const NAMES: [&str; 2] = ["left", "right"];
/// One batch of the producer.
const BATCH: Duration = Duration::from_millis(100);
/// Records in a batch, at most.
const RECORDS: i64 = 40;
/// How long instances may take to catch up with a production that has stopped.
const SETTLES: Duration = Duration::from_secs(90);
/// How soon after being ready every figure is right.
const RIGHT_WITHIN: Duration = Duration::from_secs(5);

/// How soon counters follow: checkpoints are made each second.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

pub(super) struct Run {
    progress: Progress,
    rounds: Vec<Round>,
    random: Random,
    pub(super) maker: Maker,
    pub(super) world: World,
    log: Log,
    pub(super) producer: TruthfulProducer,
    /// Transactions that are open, by the number of their fault.
    pub(super) open: BTreeMap<usize, Transaction>,
    // Before the folder that they write into.
    pub(super) watch: Watch,
    pub(super) replicas: Vec<Replica>,
    folder: Option<TempDir>,
    pub(super) burst: Option<Burst>,
    compared: usize,
    slowest: Duration,
}

impl Run {
    /// Starts the broker and both instances.
    pub(super) fn start(count: usize, seed: u64) -> Run {
        let progress = Progress::new(count, seed);
        let mut random = Random::new(seed);
        let rounds = rounds(&mut random.fork(), count);
        let maker = Maker::new(random.fork());
        let world = World::start(&NAMES);
        let folder = TempDir::new().expect("a folder");
        let mut replicas: Vec<Replica> =
            NAMES.iter().map(|name| Replica::new(name, folder.path())).collect();
        for replica in &mut replicas {
            replica.configure(&world.configuration(replica.name));
            replica.start();
        }
        let watch = Watch::start(replicas.iter().map(Replica::address).collect());
        Run {
            progress,
            rounds,
            random,
            maker,
            log: Log::default(),
            producer: TruthfulProducer::connect(&world.kafka.bootstrap()),
            open: BTreeMap::new(),
            world,
            watch,
            replicas,
            folder: Some(folder),
            burst: None,
            compared: 0,
            slowest: Duration::ZERO,
        }
    }

    /// All rounds, and the end.
    pub(super) fn finish(mut self) {
        for round in std::mem::take(&mut self.rounds) {
            self.round(&round);
            self.quiet();
            self.kill_at_rest(round.killed_after);
        }
        self.letters();
        self.progress.line(&format!(
            "no difference: {} records, {} figures compared, {} pages watched, right at most {:.1} s after being ready",
            self.log.records.len(),
            self.compared,
            self.watch.pages(),
            self.slowest.as_secs_f64()
        ));
    }

    fn round(&mut self, round: &Round) {
        let mut due = Instant::now();
        for batch in 0..=round.batches {
            for fault in &round.faults {
                if fault.ends == batch && fault.begins < batch {
                    self.end(fault);
                }
                if fault.begins == batch {
                    self.progress.step(fault.number, format!("{:?}", fault.kind));
                    self.begin(fault);
                    if fault.ends == batch {
                        self.end(fault);
                    }
                }
            }
            self.produce();
            // The pace of the production; what a fault took is not made up for.
            due = (due + BATCH).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn produce(&mut self) {
        for _ in 0..self.random.between(1, RECORDS) {
            let draft = self.maker.record(&self.world.topics, now(), self.burst);
            self.producer.send(&self.world.topics, &draft);
        }
    }

    /// Production has stopped: everything must be right.
    fn quiet(&mut self) {
        self.producer.flush();
        self.log.read_on(&self.world.kafka, &self.world.topics);
        if let Err(why) = self.producer.check(&self.log) {
            panic!("the truth is not clear: {why}");
        }
        let truth = Truth::of(&self.log, &self.world.topics, &self.world.declared);
        let records = self.log.records.len();
        self.progress.line(&format!("quiet: {records} records, {} events count", truth.events()));
        let mut compared = 0;
        let mut differences = Vec::new();
        for (index, name) in NAMES.iter().enumerate() {
            let page = Self::settled(&mut self.replicas[index], &self.log, &self.world, SETTLES);
            let mut comparison = truth.compare(&page);
            comparison.append(self.counters(index, &truth));
            compared += comparison.compared;
            differences
                .extend(comparison.differences.into_iter().map(|text| format!("{name}: {text}")));
        }
        let pages = self.pages_of_one_pane();
        let comparison = compare::between(&self.world.declared, &pages[0], &pages[1]);
        compared += comparison.compared;
        differences.extend(comparison.differences);
        differences.extend(self.watch.wrong());
        self.compared += compared;
        self.judge(&differences);
    }

    /// The counters say what the newest checkpoint on the disk does, which is soon
    /// everything.
    fn counters(&self, index: usize, truth: &Truth<'_>) -> Comparison {
        let end = Instant::now() + COUNTED_WITHIN;
        loop {
            let mut comparison = Comparison::default();
            match self.replicas[index].metrics() {
                Some(page) => truth.counters(&page, &mut comparison),
                None => comparison.differences.push("nobody answers".to_owned()),
            }
            if comparison.differences.is_empty() || Instant::now() > end {
                return comparison;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Both pages, at moments of one base pane.
    fn pages_of_one_pane(&self) -> [Metrics; 2] {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let pages = [0, 1].map(|index| {
                self.replicas[index].metrics().expect("an instance that is ready answers")
            });
            let [one, other] =
                [0, 1].map(|index| compare::as_of(&pages[index]).map(|at| floor(at, 10 * SECOND)));
            if one.is_some() && one == other {
                return pages;
            }
            assert!(Instant::now() < end, "the instances are never in one pane");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The first page with every record of the log on it.
    fn settled(replica: &mut Replica, log: &Log, world: &World, limit: Duration) -> Metrics {
        let end = Instant::now() + limit;
        let sizes = log.sizes(&world.topics);
        let partitions: i32 = world.topics.iter().map(|topic| topic.partitions).sum();
        loop {
            replica.assert_runs();
            let mut looks = "nobody answers".to_owned();
            if let Some(page) = replica.metrics() {
                let read: Vec<u64> = world
                    .topics
                    .iter()
                    .map(|topic| {
                        let labels = [("topic", topic.name.as_str()), ("outcome", "read")];
                        page.sum("tidegauge_ledger_records", &labels) as u64
                    })
                    .collect();
                let lags = page.all("tidegauge_partition_lag_records", &[]);
                let ready = page.one("tidegauge_ready", &[]) == Some(1.0);
                let at_end =
                    lags.len() == partitions as usize && lags.iter().all(|lag| *lag == 0.0);
                let filling = page.one("tidegauge_backfill_running", &[]) == Some(1.0);
                if ready && at_end && read == sizes && !filling {
                    return page;
                }
                looks = format!(
                    "read {read:?} of {sizes:?}, lag {lags:?}, filling {filling}, {}",
                    replica.readiness()
                );
            }
            assert!(
                Instant::now() < end,
                "{} does not come to rest within {limit:?}: {looks}\n{}",
                replica.name,
                replica.log_end()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Killed at rest, an instance is right as soon as it is ready.
    fn kill_at_rest(&mut self, index: usize) {
        let truth = Truth::of(&self.log, &self.world.topics, &self.world.declared);
        let replica = &mut self.replicas[index];
        replica.kill();
        replica.start();
        replica.wait_ready(SETTLES);
        let ready = Instant::now();
        let page = Self::settled(replica, &self.log, &self.world, RIGHT_WITHIN);
        self.slowest = self.slowest.max(ready.elapsed());
        let Comparison { compared, differences } = truth.compare(&page);
        self.compared += compared;
        let differences: Vec<_> = differences
            .into_iter()
            .map(|text| format!("{} after being killed: {text}", NAMES[index]))
            .collect();
        self.judge(&differences);
    }

    fn letters(&mut self) {
        let refused = self.log.refused();
        for replica in &mut self.replicas {
            replica.terminate();
            let (there, letters) = letters::read(&self.world, replica.name);
            let missing: Vec<_> = refused.difference(&there).take(5).collect();
            let strange: Vec<_> = there.difference(&refused).take(5).collect();
            assert!(
                missing.is_empty() && strange.is_empty(),
                "dead letters of {}: missing {missing:?}, unasked for {strange:?}",
                replica.name
            );
            self.progress.line(&format!(
                "{letters} dead letters of {} for {} refused records",
                replica.name,
                refused.len()
            ));
        }
    }

    fn judge(&mut self, differences: &[String]) {
        if differences.is_empty() {
            return;
        }
        let folder = self.folder.take().map(TempDir::keep);
        panic!(
            "{} differences; what the instances leave is in {folder:?}:\n{}",
            differences.len(),
            differences.join("\n")
        );
    }
}
