//! The same marketing traffic for every bench that saves or remembers, and what it
//! takes of memory.

use tidegauge::event::EventTime;

/// 2026-06-09T12:00:00Z.
pub(crate) const NOW: i64 = 1_781_006_400;

pub(crate) const CONFIG: &str = r#"
[kafka]
brokers = "127.0.0.1:9092"
[[topics]]
name = "events"
format = "canonical"
"#;

/// What marketing traffic is made of.
pub(crate) const TYPES: [&str; 9] = [
    "email.sent",
    "email.delivered",
    "email.delivered",
    "email.opened",
    "email.clicked",
    "web.page_viewed",
    "web.page_viewed",
    "web.cta_clicked",
    "web.converted",
];

/// Memory that this process holds.
pub(crate) fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.expect("kibibytes") * 1_024.0
}

/// SplitMix64: the same each time, and spread as keyed hashes are.
pub(crate) fn spread(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

pub(crate) fn at(secs: i64) -> EventTime {
    EventTime::from_secs(secs)
}

/// Records with ids that never come again; event times up to `age` seconds ago.
pub(crate) fn records(first: u64, count: usize, now: i64, age: u64) -> Vec<String> {
    let record = |index: usize| {
        let number = spread((first + index as u64) ^ 1 << 40);
        let kind = TYPES[(number % 9) as usize];
        let time = EventTime::from_millis(now * 1_000 - ((number >> 8) % (age * 1_000)) as i64);
        let (campaign, user) = ((number >> 24) % 1_000, (number >> 16) % 2_000_000);
        format!(
            r#"{{"id":"0192f3a4-{number:016x}-8e21","type":"{kind}","time":"{time}","campaign":"2026-spring-sale-{campaign:04}","source":"mailer","user":"user-{user:08}@example.com","message":"msg-{number:012}","attributes":{{"class":"hard","link":"https://shop.example.com/spring?item={user}","region":"emea"}}}}"#
        )
    };
    (0..count).map(record).collect()
}
