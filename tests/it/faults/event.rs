//! The events of a run, as their sources would write them.
//!
//! Ordinary ones, and those that are hard: copies in other partitions and topics,
//! copies that differ, events out of order, late, ahead, without an id, of unknown
//! types, and records that nobody can read.
//!
//! Copies that differ in what a figure asks for come after their original in the
//! same partition, so that the original is the one that counts whatever the order in
//! which partitions are read. Copies of the type `email.forwarded`, which no measure
//! asks for, differ and lie anywhere: only ledgers see them.

use super::moment::{HOUR, MINUTE, Micros, SECOND, shown};
use super::random::Random;
use super::world::{Form, Keys, Topic};

/// A record of more bytes is refused: the limit in the configuration.
pub(super) const RECORD_BYTES: usize = 20_000;
/// A record that nests deeper is refused: the product's default.
pub(super) const DEPTH: usize = 64;
/// An event older than its record by more than this is late.
pub(super) const LATENESS: Micros = 3 * HOUR;
/// An event newer than its record by more than this is not believed.
pub(super) const TOLERANCE: Micros = 5 * MINUTE;

/// How long an id is remembered: the configuration's `[duplicates] horizon`. No run is
/// so long that copies of other events come near to its end.
pub(super) const HORIZON: Micros = 2 * HOUR;

/// How many events back a copy may reach.
const REMEMBERED: usize = 300;

/// A record to be written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// Index of the topic.
    pub(super) topic: usize,
    pub(super) partition: i32,
    pub(super) key: Option<String>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) timestamp: Micros,
}

/// What a stretch of production has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Burst {
    Copies,
    Late,
    Future,
    Poison,
}

/// One canonical event.
#[derive(Debug, Clone, Default)]
struct Told {
    id: Option<String>,
    kind: &'static str,
    at: Micros,
    source: Option<&'static str>,
    campaign: Option<&'static str>,
    user: String,
    money: Option<(String, &'static str)>,
    count: Option<String>,
    key: Option<&'static str>,
    machine: Option<bool>,
    attributes: Vec<(&'static str, String)>,
}

impl Told {
    fn json(&self) -> String {
        let mut fields =
            vec![format!("\"type\":\"{}\"", self.kind), format!("\"time\":\"{}\"", shown(self.at))];
        let mut text = |name: &str, value: Option<&str>| {
            fields.extend(value.map(|value| format!("\"{name}\":\"{value}\"")));
        };
        text("id", self.id.as_deref());
        text("source", self.source);
        text("campaign", self.campaign);
        text("user", Some(&self.user));
        text("key", self.key);
        text("value", self.money.as_ref().map(|(value, _)| value.as_str()));
        text("currency", self.money.as_ref().map(|(_, currency)| *currency));
        fields.extend(self.count.iter().map(|count| format!("\"count\":{count}")));
        fields.extend(self.machine.iter().map(|machine| format!("\"machine\":{machine}")));
        let attributes: Vec<_> =
            self.attributes.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        fields.push(format!("\"attributes\":{{{}}}", attributes.join(",")));
        format!("{{{}}}", fields.join(","))
    }
}

/// Where an event was put first.
#[derive(Debug, Clone)]
struct Put {
    told: Told,
    topic: usize,
    partition: i32,
}

/// Makes records without end.
pub(super) struct Maker {
    random: Random,
    next_id: u64,
    put: Vec<Put>,
    vendor: Vec<String>,
    /// Events of records so old that their copies of today are first sights again.
    forgotten: Vec<Told>,
}

impl Maker {
    pub(super) fn new(random: Random) -> Maker {
        Maker { random, next_id: 0, put: Vec::new(), vendor: Vec::new(), forgotten: Vec::new() }
    }

    /// The next record, written at `now`.
    pub(super) fn record(&mut self, topics: &[Topic], now: Micros, burst: Option<Burst>) -> Draft {
        let topic = self.random.below(topics.len() as u64) as usize;
        // Records are stamped by their producers, whose clocks and queues differ.
        let timestamp = match self.random.below(100) {
            0..80 => now,
            80..97 => now - self.random.between(0, 10 * MINUTE),
            _ => now + self.random.between(0, 2 * MINUTE),
        };
        let timestamp = timestamp - timestamp.rem_euclid(1_000);
        match topics[topic].form {
            Form::Canonical => self.canonical(topics, topic, timestamp, burst),
            Form::Vendor => self.vendor(topics, topic, timestamp, burst),
        }
    }

    fn canonical(
        &mut self,
        topics: &[Topic],
        topic: usize,
        timestamp: Micros,
        burst: Option<Burst>,
    ) -> Draft {
        let of_burst = self.random.chance(600);
        match burst {
            Some(Burst::Copies) if of_burst => return self.copy(topics, topic, timestamp),
            Some(Burst::Late) if of_burst => {
                let at = self.late(timestamp);
                return self.single(topics, topic, timestamp, at);
            }
            Some(Burst::Future) if of_burst => {
                let at = self.future(timestamp);
                return self.single(topics, topic, timestamp, at);
            }
            Some(Burst::Poison) if of_burst => return self.poison(topics, topic, timestamp),
            _ => {}
        }
        match self.random.below(1_000) {
            0..720 => {
                let at = self.time(timestamp);
                self.single(topics, topic, timestamp, at)
            }
            720..770 => self.list(topics, topic, timestamp),
            770..780 => self.beyond_horizon(topics, topic, timestamp),
            780..850 => self.copy(topics, topic, timestamp),
            850..880 => self.changed_copy(topics, topic, timestamp),
            880..895 => self.forwarded(topics, topic, timestamp),
            895..910 => {
                let at = self.late(timestamp);
                self.single(topics, topic, timestamp, at)
            }
            910..920 => {
                let at = self.future(timestamp);
                self.single(topics, topic, timestamp, at)
            }
            920..940 => self.other_source(topics, topic, timestamp),
            940..955 => {
                let at = self.time(timestamp);
                let told = Told { id: None, ..self.told(at) };
                self.put_text(topics, topic, timestamp, &told.user, told.json())
            }
            955..960 => self.unstamped(topics, topic, timestamp),
            960..965 => {
                let at = self.time(timestamp);
                let told = Told { kind: "email.teleported", ..self.told(at) };
                self.put_text(topics, topic, timestamp, &told.user, told.json())
            }
            _ => self.poison(topics, topic, timestamp),
        }
    }

    /// Mostly just before the record, else out of order or ahead, within the limits;
    /// the limits themselves count.
    fn time(&mut self, timestamp: Micros) -> Micros {
        match self.random.below(1_000) {
            0..750 => timestamp - self.random.between(0, 2 * SECOND),
            750..900 => timestamp - self.random.between(0, 10 * MINUTE),
            900..960 => timestamp - self.random.between(0, LATENESS),
            960..965 => timestamp - LATENESS,
            965..970 => timestamp + TOLERANCE,
            _ => timestamp + self.random.between(0, TOLERANCE),
        }
    }

    fn late(&mut self, timestamp: Micros) -> Micros {
        timestamp - LATENESS - self.random.between(1, 45 * HOUR)
    }

    fn future(&mut self, timestamp: Micros) -> Micros {
        timestamp + TOLERANCE + self.random.between(1, 45 * HOUR)
    }

    fn new_id(&mut self) -> String {
        self.next_id += 1;
        format!("e-{}", self.next_id)
    }

    fn user(&mut self) -> String {
        format!("user-{}", self.random.below(1_500))
    }

    /// A new event.
    fn told(&mut self, at: Micros) -> Told {
        let mut told = Told { id: Some(self.new_id()), at, user: self.user(), ..Told::default() };
        if self.random.chance(950) {
            told.campaign = Some(*self.random.pick(&["spring", "autumn", "welcome", "win back"]));
        }
        if self.random.chance(800) {
            let region = *self.random.pick(&["north", "south", "overseas"]);
            told.attributes.push(("region", region.to_owned()));
        }
        let page = format!("/p{}", self.random.below(12));
        told.attributes.push(("page", page));
        if self.random.chance(50) {
            told.count = Some((*self.random.pick(&["0.25", "3", "\"2.000000001\""])).to_owned());
        }
        told.kind = match self.random.below(100) {
            0..32 => "email.delivered",
            32..52 => {
                if self.random.chance(400) {
                    told.machine = Some(self.random.chance(500));
                }
                "email.opened"
            }
            52..60 => "email.clicked",
            60..63 => "email.unsubscribed",
            63..69 => {
                let class = *self.random.pick(&["hard", "soft", "block", "unknown"]);
                told.attributes.push(("class", class.to_owned()));
                "email.bounced"
            }
            69..71 => "email.dropped",
            71..73 => "email.deferred",
            73..85 => {
                told.money = Some(self.money("-"));
                "commerce.order_paid"
            }
            85..88 => {
                told.money = Some(self.money(""));
                "commerce.refunded"
            }
            88..92 => {
                let score = *self.random.pick(&["1", "2", "3.5", "4", "4.75", "5"]);
                told.count = Some(score.to_owned());
                "crm.csat_recorded"
            }
            92..96 => {
                told.key = Some(*self.random.pick(&["weekly", "daily", "offers"]));
                told.count = Some(self.random.between(1_000, 90_000).to_string());
                "email.list_size"
            }
            _ => "web.page_viewed",
        };
        told
    }

    /// Some of it with that sign.
    fn money(&mut self, sign: &str) -> (String, &'static str) {
        let currency = *self.random.pick(&["EUR", "EUR", "EUR", "USD", "USD", "JPY"]);
        let whole = self.random.between(0, 99_999);
        let value = match self.random.below(10) {
            0 => format!("{whole}.{:09}", self.random.below(1_000_000_000)),
            1 => format!("{sign}{whole}.5"),
            _ => format!("{whole}.{:02}", self.random.below(100)),
        };
        (value, currency)
    }

    fn place(&mut self, topic: &Topic, user: &str) -> (i32, Option<String>) {
        let any = self.random.below(topic.partitions as u64) as i32;
        match topic.keys {
            Keys::User => {
                let sum = user.bytes().fold(7_u64, |sum, byte| sum * 31 % 65_537 + u64::from(byte));
                ((sum % topic.partitions as u64) as i32, Some(user.to_owned()))
            }
            Keys::None => (any, None),
            Keys::Random => (any, Some(self.random.next().to_string())),
        }
    }

    fn put_text(
        &mut self,
        topics: &[Topic],
        topic: usize,
        timestamp: Micros,
        user: &str,
        text: impl Into<Vec<u8>>,
    ) -> Draft {
        let (partition, key) = self.place(&topics[topic], user);
        Draft { topic, partition, key, value: Some(text.into()), timestamp }
    }

    fn single(&mut self, topics: &[Topic], topic: usize, timestamp: Micros, at: Micros) -> Draft {
        let told = self.told(at);
        let draft = self.put_text(topics, topic, timestamp, &told.user, told.json());
        // Of an event that does not count, a copy might: then none may differ.
        if (timestamp - LATENESS..=timestamp + TOLERANCE).contains(&at) {
            self.remember(told, topic, draft.partition);
        }
        draft
    }

    fn remember(&mut self, told: Told, topic: usize, partition: i32) {
        let put = Put { told, topic, partition };
        if self.put.len() < REMEMBERED {
            self.put.push(put);
        } else {
            let place = self.random.below(REMEMBERED as u64) as usize;
            self.put[place] = put;
        }
    }

    fn remembered(&mut self) -> Option<Put> {
        if self.put.is_empty() { None } else { Some(self.random.pick(&self.put).clone()) }
    }

    fn list(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        let mut texts = Vec::new();
        let mut user = String::new();
        for _ in 0..self.random.between(2, 5) {
            let at = self.time(timestamp);
            let told = self.told(at);
            user.clone_from(&told.user);
            texts.push(told.json());
            // A copy in the very same record.
            if self.random.chance(100) {
                texts.push(told.json());
            }
        }
        self.put_text(topics, topic, timestamp, &user, format!("[{}]", texts.join(", ")))
    }

    /// The same event again, in any topic of the same form.
    fn copy(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        match self.remembered() {
            Some(put) => {
                let text = put.told.json();
                self.put_text(topics, topic, timestamp, &put.told.user, text)
            }
            None => self.single(topics, topic, timestamp, timestamp),
        }
    }

    /// The same id with another content, behind its original in the same partition.
    fn changed_copy(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        let Some(put) = self.remembered() else {
            return self.single(topics, topic, timestamp, timestamp);
        };
        let at = self.time(timestamp);
        let told = Told { id: put.told.id, ..self.told(at) };
        let (_, key) = self.place(&topics[put.topic], &told.user);
        Draft {
            topic: put.topic,
            partition: put.partition,
            key,
            value: Some(told.json().into()),
            timestamp,
        }
    }

    /// An event in a record from before the horizon, and later one copy of it: both
    /// count, whichever is read first.
    fn beyond_horizon(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        if self.random.chance(500)
            && let Some(told) = self.forgotten.pop()
            && timestamp - told.at < LATENESS
        {
            return self.put_text(topics, topic, timestamp, &told.user, told.json());
        }
        // Beyond 17/16 of it for every copy, whose record may be 10 minutes old.
        let back = self.random.between(HORIZON + 30 * MINUTE, HORIZON + 45 * MINUTE);
        let old = timestamp - back;
        let old = old - old.rem_euclid(1_000);
        let at = old - self.random.between(0, SECOND);
        let told = self.told(at);
        let draft = self.put_text(topics, topic, old, &told.user, told.json());
        self.forgotten.push(told);
        draft
    }

    /// One of few ids of a type that no measure asks for, each time another event.
    fn forwarded(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        let at = self.time(timestamp);
        let id = Some(format!("f-{}", self.random.below(100)));
        let told = Told { id, kind: "email.forwarded", ..self.told(at) };
        let told = Told { money: None, key: None, ..told };
        self.put_text(topics, topic, timestamp, &told.user, told.json())
    }

    /// In a record whose timestamp counts seconds, or says nothing: its own time stands
    /// for it. No copy of it comes, whose record would lie anywhere else.
    fn unstamped(&mut self, topics: &[Topic], topic: usize, now: Micros) -> Draft {
        let draft = self.fresh(topics, topic, now);
        let timestamp = if self.random.chance(500) { now / SECOND } else { 1 };
        Draft { timestamp: 1_000 * timestamp, ..draft }
    }

    /// A new event by itself, of which nothing else is made: its record may not come to be.
    pub(super) fn apart(&mut self, topics: &[Topic], now: Micros) -> Draft {
        let of_ours: Vec<usize> =
            (0..topics.len()).filter(|topic| topics[*topic].form == Form::Canonical).collect();
        let topic = *self.random.pick(&of_ours);
        self.fresh(topics, topic, now - now.rem_euclid(1_000))
    }

    fn fresh(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        let at = self.time(timestamp);
        let told = self.told(at);
        self.put_text(topics, topic, timestamp, &told.user, told.json())
    }

    /// The same id from another source is another event.
    fn other_source(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        match self.remembered() {
            Some(put) if put.told.source.is_none() => {
                let told = Told { source: Some("shop"), ..put.told };
                self.put_text(topics, topic, timestamp, &told.user, told.json())
            }
            _ => self.single(topics, topic, timestamp, timestamp),
        }
    }

    fn poison(&mut self, topics: &[Topic], topic: usize, timestamp: Micros) -> Draft {
        let at = self.time(timestamp);
        let told = self.told(at);
        let good = told.json();
        let (time, id) = (shown(at), self.next_id);
        let value: Vec<u8> = match self.random.below(19) {
            0 => b"this is not json".to_vec(),
            1 => good[..good.len() / 2].into(),
            2 => b"{\"type\":\"email.opened\xff\"}".to_vec(),
            3 => b"42".to_vec(),
            4 => b"\"a text\"".to_vec(),
            5 => Vec::new(),
            6 => b"[]".to_vec(),
            7 => format!("{}1{}", "[".repeat(100), "]".repeat(100)).into(),
            8 => format!("{good}{}", " ".repeat(RECORD_BYTES)).into(),
            9 => format!("{{\"id\":\"p-{id}\",\"time\":\"{time}\"}}").into(),
            10 => format!("{{\"id\":\"p-{id}\",\"type\":\"email.opened\"}}").into(),
            11 => {
                format!("{{\"id\":\"p-{id}\",\"type\":\"email.opened\",\"time\":\"soon\"}}").into()
            }
            12 => good.replace(&time, "1969-12-31T00:00:00.000000Z").into(),
            13 => {
                let money = Some(("5".to_owned(), "ducats"));
                Told { kind: "commerce.refunded", key: None, money, ..told.clone() }.json().into()
            }
            14 => {
                let count = Some("5".to_owned());
                Told { kind: "email.list_size", key: None, count, ..told.clone() }.json().into()
            }
            15 => {
                let count = *self.random.pick(&["\"many\"", "-500", "1000000000000.5"]);
                let count = Some(count.to_owned());
                Told { kind: "email.delivered", count, ..told.clone() }.json().into()
            }
            16 => {
                let money = Some(("-5".to_owned(), "EUR"));
                Told { kind: "commerce.refunded", key: None, money, ..told.clone() }.json().into()
            }
            17 => format!("[{good}, {{\"type\":\"email.opened\"}}]").into(),
            _ => {
                let draft = self.put_text(topics, topic, timestamp, &told.user, "");
                return Draft { value: None, ..draft };
            }
        };
        self.put_text(topics, topic, timestamp, &told.user, value)
    }

    fn vendor(
        &mut self,
        topics: &[Topic],
        topic: usize,
        timestamp: Micros,
        burst: Option<Burst>,
    ) -> Draft {
        let of_burst = self.random.chance(600);
        let poison = (burst == Some(Burst::Poison) && of_burst) || self.random.chance(30);
        let mut elements = Vec::new();
        for _ in 0..self.random.between(1, 6) {
            let copies = burst == Some(Burst::Copies) && of_burst;
            if !self.vendor.is_empty() && (copies || self.random.chance(100)) {
                elements.push(self.random.pick(&self.vendor).clone());
                continue;
            }
            let at = match burst {
                Some(Burst::Late) if of_burst => self.late(timestamp),
                Some(Burst::Future) if of_burst => self.future(timestamp),
                _ => self.time(timestamp),
            };
            let element = self.vendor_element(at);
            if self.vendor.len() < REMEMBERED {
                self.vendor.push(element.clone());
            }
            elements.push(element);
        }
        let user = self.user();
        if poison {
            if self.random.chance(300) {
                return self.put_text(topics, topic, timestamp, &user, "event=open&x=1");
            }
            elements.push(r#"{"email":"u","event":"open","sg_event_id":"x"}"#.to_owned());
        }
        self.put_text(topics, topic, timestamp, &user, format!("[{}]", elements.join(",")))
    }

    fn vendor_element(&mut self, at: Micros) -> String {
        let (user, id) = (self.user(), self.new_id());
        let seconds = at.div_euclid(SECOND);
        let campaign = *self.random.pick(&["spring", "autumn", "harvest"]);
        let what = match self.random.below(20) {
            0..8 => "\"event\":\"delivered\"",
            8..12 => "\"event\":\"open\"",
            12 => "\"event\":\"open\",\"sg_machine_open\":true",
            13..15 => "\"event\":\"click\",\"url\":\"https://example.com\"",
            15 => "\"event\":\"unsubscribe\"",
            16 => "\"event\":\"bounce\",\"type\":\"bounce\"",
            17 => "\"event\":\"bounce\",\"type\":\"blocked\"",
            18 => "\"event\":\"dropped\"",
            _ => *self.random.pick(&["\"event\":\"account_status_change\"", "\"event\":\"novel\""]),
        };
        format!(
            "{{\"email\":\"{user}\",\"timestamp\":{seconds},\"sg_event_id\":\"{id}\",{what},\"category\":[\"{campaign}\"]}}"
        )
    }
}
