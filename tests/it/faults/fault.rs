//! What each fault does, at its beginning and at its end.

use std::time::Duration;

use tidegauge::event::{EventTime, Span};

use super::moment::now;
use super::plan::{Fault, Kind};
use super::run::Run;
use super::store;
use super::transactions::{End, Transaction};
use crate::support::process::wait_until;
use crate::support::proxy::Network;

/// More than any file has that an instance writes while its disk is "full".
const FULL_AT: u64 = 2_000;
/// How soon an instance notices that it cannot write.
const NOTICES: Duration = Duration::from_secs(20);

impl Run {
    pub(super) fn begin(&mut self, fault: &Fault) {
        let replica = &mut self.replicas[fault.replica];
        match fault.kind {
            Kind::Kill => replica.kill(),
            Kind::Terminate => replica.terminate(),
            Kind::Pause => replica.signal("STOP"),
            Kind::WrongClock => {
                replica.kill();
                replica.clock.set(wrong_by(fault.detail));
                replica.start();
            }
            Kind::BrokerKill => self.world.kafka.kill(),
            Kind::BrokerRestart => self.world.kafka.terminate(),
            Kind::Stalled => self.world.proxy.set(Network::Stalled),
            Kind::Refused => self.world.proxy.set(Network::Refused),
            Kind::Slow => self.world.proxy.set(Network::Slow {
                delay: Duration::from_millis(20 + fault.detail % 200),
                bytes_per_second: 20_000 + fault.detail % 100_000,
            }),
            Kind::AddPartition => {
                let topic = fault.detail as usize % self.world.topics.len();
                self.world.add_partition(topic);
            }
            Kind::AddTopic => self.world.add_topic(),
            Kind::Burst(burst) => self.burst = Some(burst),
            Kind::Transaction => self.begin_transaction(fault),
            Kind::ChangeConfiguration => self.change_configuration(fault.detail),
            Kind::FullDisk => replica.limit_files(Some(FULL_AT)),
            Kind::TornStore => {
                replica.kill();
                if store::tear(&replica.state(), fault.detail) == store::Torn::Shortened {
                    // What was on the disk is there no more: that is not a crash's doing.
                    self.watch.forget(fault.replica);
                }
            }
            Kind::DamagedStore => self.damage(fault),
        }
    }

    pub(super) fn end(&mut self, fault: &Fault) {
        let replica = &mut self.replicas[fault.replica];
        match fault.kind {
            Kind::Kill | Kind::Terminate | Kind::TornStore | Kind::DamagedStore => replica.start(),
            Kind::Pause => replica.signal("CONT"),
            Kind::WrongClock => replica.clock.set(Span::ZERO),
            Kind::BrokerKill | Kind::BrokerRestart => {
                self.world.kafka.launch();
                self.world.wait_for_topics();
            }
            Kind::Stalled | Kind::Refused | Kind::Slow => self.world.proxy.set(Network::Clear),
            Kind::Burst(_) => self.burst = None,
            Kind::Transaction => self.end_transaction(fault),
            Kind::AddPartition | Kind::AddTopic | Kind::ChangeConfiguration => {}
            Kind::FullDisk => {
                wait_until(
                    NOTICES,
                    || {
                        let page = replica.metrics()?;
                        (page.one("tidegauge_state_blocked", &[]) == Some(1.0)).then_some(())
                    },
                    || format!("the full disk being noticed:\n{}", replica.log_end()),
                );
                replica.limit_files(None);
            }
        }
    }

    /// Records that nobody may read yet; the others write behind them.
    fn begin_transaction(&mut self, fault: &Fault) {
        let bootstrap = self.world.kafka.bootstrap();
        let mut transaction = Transaction::begin(&bootstrap, End::of(fault.detail));
        for _ in 0..1 + fault.detail / 3 % 30 {
            let draft = self.maker.apart(&self.world.topics, now());
            transaction.send(&self.world.topics, &draft, self.producer.number());
        }
        transaction.flush();
        // Here is the place to see that no instance is caught up with what it cannot read.
        self.open.insert(fault.number, transaction);
    }

    fn end_transaction(&mut self, fault: &Fault) {
        let transaction = self.open.remove(&fault.number).expect("it has begun");
        let end = End::of(fault.detail);
        self.producer.transaction(transaction.end(end), end);
    }

    /// Another configuration for both, one after the other.
    fn change_configuration(&mut self, detail: u64) {
        match detail % 3 {
            0 => self.world.declared.add_kpi(),
            1 => self.world.declared.remove_kpi(),
            _ => self.world.declared.add_windows(),
        }
        for replica in &mut self.replicas {
            replica.terminate();
            replica.configure(&self.world.configuration(replica.name));
            replica.start();
        }
    }

    /// A damaged store is refused, with a remedy, and the remedy helps.
    fn damage(&mut self, fault: &Fault) {
        let replica = &mut self.replicas[fault.replica];
        replica.kill();
        let Some(file) = store::damage(&replica.state(), fault.detail) else { return };
        replica.start();
        let status = replica.wait_for_end(Duration::from_secs(20));
        let said = replica.log();
        let helps = said.contains(&file) && said.contains("tidegauge state reset");
        assert!(
            !status.success() && helps,
            "{file} is damaged, and it ends with {status}:\n{said}"
        );
        let (status, said) = replica.run(&["state", "reset", "--yes"]);
        assert!(status.success(), "the remedy ends with {status}:\n{said}");
        self.watch.forget(fault.replica);
    }
}

/// How far a clock is off: as one that nobody has set, by days, by hours, by little. None
/// is ahead: people seen ahead of the moment are taken in by such a clock, and are not
/// counted then until its time has come.
fn wrong_by(detail: u64) -> Span {
    let behind = |seconds: i64| Span::from_secs(-seconds);
    match detail % 5 {
        0 => EventTime::from_secs(60) - EventTime::from_micros(now()),
        1 => behind(400 * 86_400),
        2 => behind(6 * 86_400),
        3 => behind(3 * 3_600),
        _ => behind(20),
    }
}
