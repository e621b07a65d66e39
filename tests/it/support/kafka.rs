//! A real Apache Kafka, run from its jars on free loopback ports.
//!
//! The jars are those that `tests/kafka/pom.xml` names, in `target/kafka-jars`. Most
//! tests share one broker and keep apart by topic names; a test that stops a broker
//! starts its own. A broker is killed by its process handle when it is dropped, the
//! shared one with the test process (it watches its standard input).

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tempfile::TempDir;

use tidegauge::event::EventTime;
use tidegauge::kafka::Producer;

use super::proxy::Proxy;

/// Waits until `ready` gives something, and fails with `what` after half a minute.
pub(crate) fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited half a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A name that no other test of this process uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A loopback address whose port was free a moment ago, for a [`Proxy`] to point at.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Kafka's jars, fetched once if they are missing.
fn jars() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = root.join("target");
    fs::create_dir_all(&target).expect("the target folder");
    let jars = target.join("kafka-jars");
    let lock = File::create(target.join("kafka-jars.lock")).expect("the lock file");
    lock.lock().expect("the lock");
    let done = jars.join("complete");
    if !done.exists() {
        let status = Command::new("mvn")
            .args(["-q", "-B", "-f"])
            .arg(root.join("tests/kafka/pom.xml"))
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .status()
            .expect("Maven, which fetches Apache Kafka (Debian: apt-get install maven)");
        assert!(status.success(), "Maven could not fetch the jars of Apache Kafka");
        File::create(done).expect("the mark that the jars are complete");
    }
    jars
}

const LOGIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";

/// What a broker has beside what all have.
#[derive(Default)]
pub(crate) struct More {
    /// Lines of its properties.
    pub(crate) properties: Vec<String>,
    /// Listeners, as `NAME`, its protocol, where it is, and where clients are sent.
    pub(crate) listeners: Vec<(String, &'static str, SocketAddr, SocketAddr)>,
    /// Arguments of the formatting.
    pub(crate) format: Vec<String>,
    /// Properties of its Java.
    pub(crate) java: Vec<String>,
}

/// One broker, and its own controller.
pub(crate) struct Kafka {
    port: u16,
    sasl_port: u16,
    java: Vec<String>,
    folder: TempDir,
    process: Option<Child>,
    admin: AdminClient<DefaultClientContext>,
}

impl Kafka {
    /// The broker that the tests of this process share.
    pub(crate) fn shared() -> &'static Kafka {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| {
            let kafka = Kafka::start();
            kafka.die_with(std::process::id());
            kafka
        })
    }

    /// Starts a broker and waits until it answers.
    pub(crate) fn start() -> Kafka {
        let mut kafka = Kafka::formatted(&[]);
        kafka.launch();
        kafka
    }

    /// Starts a broker that has a second listener behind the proxy, which must point at
    /// a port that is free. A client that begins at the proxy's address is sent there
    /// again by the broker, so that all its connections pass the proxy; everything
    /// that the harness itself does goes straight to the broker.
    pub(crate) fn start_behind(proxy: &Proxy) -> Kafka {
        let mut kafka = Kafka::formatted_behind(&[], Some(proxy));
        kafka.launch();
        kafka
    }

    /// A broker on its port that does not run yet; `extra` lines are added to its
    /// properties.
    pub(crate) fn formatted(extra: &[&str]) -> Kafka {
        Kafka::formatted_behind(extra, None)
    }

    /// As [`Kafka::formatted`], with a listener behind the proxy if there is one.
    pub(crate) fn formatted_behind(extra: &[&str], proxy: Option<&Proxy>) -> Kafka {
        let outside =
            |proxy: &Proxy| ("OUTSIDE".to_owned(), "PLAINTEXT", proxy.target(), proxy.address());
        Kafka::formatted_with(More {
            properties: extra.iter().map(|line| (*line).to_owned()).collect(),
            listeners: proxy.map(outside).into_iter().collect(),
            ..More::default()
        })
    }

    /// A broker on its port that does not run yet.
    pub(crate) fn formatted_with(more: More) -> Kafka {
        let folder = tempfile::tempdir().expect("a folder for the broker");
        let (port, sasl_port, controller) = (free_port(), free_port(), free_port());
        let (mut listener, mut advertised, mut protocols) =
            (String::new(), String::new(), String::new());
        for (name, protocol, at, sent_to) in &more.listeners {
            listener = format!("{listener},{name}://{at}");
            advertised = format!("{advertised},{name}://{sent_to}");
            protocols = format!("{protocols},{name}:{protocol}");
        }
        let mut properties = format!(
            "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl_port},CONTROLLER://127.0.0.1:{controller}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL://127.0.0.1:{sasl_port}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT{protocols}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={LOGIN} required user_gauge=\"secret\";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
log.dirs={log}
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.retention.ms=-1
log.cleaner.backoff.ms=200
",
            log = folder.path().join("log").display(),
        );
        for line in &more.properties {
            properties.push_str(line);
            properties.push('\n');
        }
        fs::write(folder.path().join("server.properties"), properties).expect("the properties");
        let mut admin = ClientConfig::new();
        admin.set("bootstrap.servers", format!("127.0.0.1:{port}"));
        admin.set("reconnect.backoff.max.ms", "500");
        admin.set("log_level", "0");
        let admin = admin.create().expect("an admin client");
        let java = more.java;
        let kafka = Kafka { port, sasl_port, java, folder, process: None, admin };
        // 22 characters of base64, as ids are.
        let cluster_id = format!("tidegauge-tests-{port:05}A");
        let status = kafka
            .java("kafka.tools.StorageTool")
            .args(["format", "--standalone", "-t", &cluster_id, "-c"])
            .arg(kafka.folder.path().join("server.properties"))
            .args(&more.format)
            .status()
            .expect(
                "Java, which runs Apache Kafka (Debian: apt-get install openjdk-17-jre-headless)",
            );
        assert!(status.success(), "the storage could not be formatted: {}", kafka.output());
        kafka
    }

    fn java(&self, main: &str) -> Command {
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("output"))
            .expect("a file for the output");
        let mut command = Command::new("java");
        command
            .args(["-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .args(&self.java)
            .arg("-cp")
            .arg(format!("{}/*", jars().display()))
            .arg(main)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        command
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Starts the process and waits until it answers.
    pub(crate) fn launch(&mut self) {
        let mut command = self.java("kafka.Kafka");
        command.arg(self.folder.path().join("server.properties"));
        self.process = Some(command.spawn().expect("the broker"));
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let answer = self.admin.inner().fetch_metadata(None, Duration::from_secs(1));
            if answer.is_ok_and(|metadata| !metadata.brokers().is_empty()) {
                return;
            }
            let exited = self.process.as_mut().and_then(|p| p.try_wait().ok().flatten());
            assert!(exited.is_none(), "the broker has ended: {}", self.output());
            assert!(Instant::now() < deadline, "no answer for 90 s: {}", self.output());
        }
    }

    /// Kills the broker without a word, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Asks the broker to stop, and waits for its end.
    pub(crate) fn terminate(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let sent = Command::new("kill").arg("-TERM").arg(process.id().to_string()).status();
        assert!(sent.expect("kill runs").success(), "the signal is sent");
        wait_for("the broker's end", || process.try_wait().expect("a child"));
    }

    /// Removes what a broker that does not run holds of a partition, as a disk that was
    /// replaced would; it knows the topic still.
    pub(crate) fn lose_log(&self, topic: &str, partition: i32) {
        assert!(self.process.is_none(), "the broker runs");
        let log = self.folder.path().join("log").join(format!("{topic}-{partition}"));
        fs::remove_dir_all(log).expect("the partition's folder");
    }

    /// Nothing is dropped at the end of a test process: a small shell waits for that
    /// process and then kills the broker and removes its folder.
    #[expect(clippy::zombie_processes, reason = "it outlives this process on purpose")]
    pub(crate) fn die_with(&self, parent: u32) {
        let Some(process) = &self.process else { return };
        let script = "while kill -0 $1 2>/dev/null; do sleep 0.2; done; kill -9 $2; sleep 0.2; rm -rf \"$3\"";
        Command::new("sh")
            .args(["-c", script, "sh", &parent.to_string(), &process.id().to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
    }

    /// The listener on which `gauge` with the password `secret` may come in, and may
    /// do nothing: no right is granted to anybody but those who come without a name.
    pub(crate) fn sasl_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.sasl_port)
    }

    /// `host:port`.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Creates a topic with a unique name and waits until it has leaders.
    pub(crate) fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> String {
        let name = unique(name);
        self.create_topic(&name, partitions, settings);
        name
    }

    /// Creates a topic and waits until it has leaders.
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let done = block_on(self.admin.create_topics(&[topic], &AdminOptions::new()));
        done.expect("create the topic")[0].as_ref().expect("create the topic");
        self.wait_for_partitions(name, partitions);
    }

    /// Changes one setting of a topic.
    pub(crate) fn set_topic(&self, name: &str, key: &str, value: &str) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(name)).set(key, value);
        let done = block_on(self.admin.alter_configs(&[config], &AdminOptions::new()));
        done.expect("alter the topic")[0].as_ref().expect("alter the topic");
    }

    /// Adds partitions until there are that many.
    pub(crate) fn grow_topic(&self, name: &str, partitions: i32) {
        let wanted = NewPartitions::new(name, partitions as usize);
        let done = block_on(self.admin.create_partitions(&[wanted], &AdminOptions::new()));
        done.expect("add partitions")[0].as_ref().expect("add partitions");
        self.wait_for_partitions(name, partitions);
    }

    /// Deletes a topic and waits until it is gone.
    pub(crate) fn delete_topic(&self, name: &str) {
        let done = block_on(self.admin.delete_topics(&[name], &AdminOptions::new()));
        done.expect("delete the topic")[0].as_ref().expect("delete the topic");
        wait_for("the topic's end", || {
            let metadata =
                self.admin.inner().fetch_metadata(Some(name), Duration::from_secs(5)).ok()?;
            metadata.topics().first()?.error().map(drop)
        });
    }

    /// Deletes the records below the offset.
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, below: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(below)).expect("an offset");
        let done = block_on(self.admin.delete_records(&list, &AdminOptions::new()));
        done.expect("delete records");
    }

    fn wait_for_partitions(&self, name: &str, partitions: i32) {
        wait_for("the topic's leaders", || {
            let metadata =
                self.admin.inner().fetch_metadata(Some(name), Duration::from_secs(5)).ok()?;
            let topic = metadata.topics().first()?;
            let led = topic.partitions().iter().filter(|p| p.leader() >= 0).count();
            (led == partitions as usize).then_some(())
        });
    }

    /// A producer with settings of librdkafka beside the usual ones.
    pub(crate) fn producer(&self, settings: &[(&str, &str)]) -> Producer {
        Producer::connect(&self.bootstrap(), settings).expect("a producer")
    }

    /// Writes records `value-0`, `value-1`, ... to one partition, a second apart from
    /// `from` on, and waits until they are there.
    pub(crate) fn fill(&self, topic: &str, partition: i32, count: usize, from: EventTime) {
        let producer = self.producer(&[]);
        for number in 0..count {
            let value = format!("value-{number}");
            let at = EventTime::from_millis(from.millis() + 1_000 * number as i64);
            producer
                .send_to(topic, Some(partition), None, Some(value.as_bytes()), &[], Some(at))
                .expect("send");
        }
        producer.flush(Duration::from_secs(30)).expect("written");
    }

    /// The client with which topics are made and changed.
    pub(crate) fn admin(&self) -> &AdminClient<DefaultClientContext> {
        &self.admin
    }

    /// What a group committed for a partition.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer = self.consumer(group);
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let answer = consumer.committed_offsets(list, Duration::from_secs(10)).ok()?;
        match answer.elements().first()?.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// A plain consumer of rdkafka; of transactions it reads what is committed.
    pub(crate) fn consumer(&self, group: &str) -> BaseConsumer {
        self.consumer_with(group, &[])
    }

    /// As [`Kafka::consumer`], with more settings of librdkafka.
    pub(crate) fn consumer_with(&self, group: &str, settings: &[(&str, &str)]) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("group.id", group)
            .set("log_level", "0")
            .set("enable.auto.commit", "false");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().expect("a consumer")
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Admin calls are futures that another thread completes.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
