//! What goes on in the demo's world: which campaigns there are, who reports on
//! them, how often each thing happens, and the one thing that goes wrong.
//!
//! Rates are per second at the busiest hour. The day, a slow drift and a
//! campaign's launch bend them; [`Stream::rate`] is the expected rate at any
//! second, and the only place that knows of the spike.

use super::random::{Dice, drift};
use crate::event::{EventTime, Span};

/// The campaign whose recipients leave.
pub const SPIKING: &str = "spring_sale";
/// When it begins, after the start of live traffic.
pub const SPIKE_AFTER: Span = Span::from_secs(30);
/// How long it lasts.
pub const SPIKE_LASTS: Span = Span::from_secs(45);

/// When they leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spikes {
    /// When the first begins, after the start of live traffic.
    pub after: Span,
    /// From one beginning to the next; `None` if there is one only.
    pub every: Option<Span>,
}

impl Spikes {
    /// One, soon: for somebody who sits and watches.
    pub const ONCE: Spikes = Spikes { after: SPIKE_AFTER, every: None };
    /// Again and again, the first when a Prometheus that was started at the same time has
    /// scraped and judged for a while.
    pub const RECURRING: Spikes =
        Spikes { after: Span::from_secs(90), every: Some(Span::from_secs(600)) };

    /// Whether one is on, so long after the start of live traffic.
    pub fn is_on(self, since: Span) -> bool {
        let begun = since.micros() - self.after.micros();
        let within = match self.every {
            Some(every) if begun >= 0 => begun % every.micros(),
            _ => begun,
        };
        (0..SPIKE_LASTS.micros()).contains(&within)
    }

    /// When the next one begins, counted from the start of live traffic; `None` if there
    /// is no other.
    pub fn next(self, since: Span) -> Option<Span> {
        if since < self.after {
            return Some(self.after);
        }
        let every = self.every?;
        let begun = (since.micros() - self.after.micros()) / every.micros() + 1;
        Some(Span::from_micros(self.after.micros() + begun * every.micros()))
    }
}
/// Unsubscribes per delivered mail in quiet times.
pub const QUIET_UNSUBSCRIBES: f64 = 0.002;
/// And during the spike.
pub const SPIKE_UNSUBSCRIBES: f64 = 0.06;
/// How long before live traffic the spiking campaign was launched.
const LAUNCHED_BEFORE: Span = Span::from_secs(600);
/// How long its mail takes to reach full speed.
const LAUNCH_TAKES: i64 = 60;

/// The systems that report, each in its own format on its own topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum System {
    /// Arrays of email events.
    SendGrid,
    /// One email event a record, some in an SNS envelope.
    AmazonSes,
    /// Pages and tracks of the shop's browser code.
    Segment,
    /// The landing pages.
    Ga4,
    /// The web application's own events, as CloudEvents.
    CloudEvents,
    /// Page webhooks: what people do with posts.
    Meta,
    /// The company's own services, which write canonical events.
    Canonical,
}

impl System {
    /// All of them.
    pub const ALL: [System; 7] = [
        System::SendGrid,
        System::AmazonSes,
        System::Segment,
        System::Ga4,
        System::CloudEvents,
        System::Meta,
        System::Canonical,
    ];

    /// The topic that it writes to.
    pub const fn topic(self) -> &'static str {
        match self {
            System::SendGrid => "email.sendgrid",
            System::AmazonSes => "email.ses",
            System::Segment => "web.segment",
            System::Ga4 => "web.ga4",
            System::CloudEvents => "web.cloudevents",
            System::Meta => "social.meta",
            System::Canonical => "crm.canonical",
        }
    }

    /// The shipped format that reads it.
    pub const fn format(self) -> &'static str {
        match self {
            System::SendGrid => "sendgrid",
            System::AmazonSes => "amazon_ses",
            System::Segment => "segment",
            System::Ga4 => "ga4_mp",
            System::CloudEvents => "cloudevents",
            System::Meta => "meta",
            System::Canonical => "canonical",
        }
    }
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// A mail was handed over.
    Sent,
    /// The receiving server took it.
    Delivered,
    /// It came back for good.
    HardBounced,
    /// It came back for now.
    SoftBounced,
    /// Somebody opened it.
    Opened,
    /// A proxy opened it, and says so.
    OpenedByMachine,
    /// Somebody followed a link.
    Clicked,
    /// Somebody reported it as spam.
    Complained,
    /// Somebody left.
    Unsubscribed,
    /// A list's size was stated.
    ListCounted,
    /// A page was viewed.
    PageViewed,
    /// Somebody signed up.
    SignedUp,
    /// A call to action came into view.
    CtaShown,
    /// And was clicked.
    CtaClicked,
    /// A visitor did what the page is for.
    Converted,
    /// Somebody saw a post.
    Viewed,
    /// Somebody liked one.
    Reacted,
    /// Somebody wrote under one.
    Commented,
    /// Somebody passed one on.
    Shared,
}

impl Deed {
    /// Its canonical event type.
    pub const fn kind(self) -> &'static str {
        match self {
            Deed::Sent => "email.sent",
            Deed::Delivered => "email.delivered",
            Deed::HardBounced | Deed::SoftBounced => "email.bounced",
            Deed::Opened | Deed::OpenedByMachine => "email.opened",
            Deed::Clicked => "email.clicked",
            Deed::Complained => "email.complained",
            Deed::Unsubscribed => "email.unsubscribed",
            Deed::ListCounted => "email.list_size",
            Deed::PageViewed => "web.page_viewed",
            Deed::SignedUp => "web.signed_up",
            Deed::CtaShown => "web.cta_shown",
            Deed::CtaClicked => "web.cta_clicked",
            Deed::Converted => "web.converted",
            Deed::Viewed => "social.viewed",
            Deed::Reacted => "social.reacted",
            Deed::Commented => "social.commented",
            Deed::Shared => "social.shared",
        }
    }
}

/// One thing that keeps happening in one campaign, as one system reports it.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub(super) system: System,
    pub(super) campaign: Option<&'static str>,
    pub(super) deed: Deed,
    /// Per second, at the busiest hour.
    busiest: f64,
    /// Where its rounding starts; shared by what must not overtake the other
    /// (deliveries never outnumber the mail sent).
    pub(super) offset: u64,
    /// Of its drift, shared by all streams of a campaign.
    drift_seed: u64,
}

/// An email campaign: mail per second, and how readers take it.
struct EmailCampaign {
    name: &'static str,
    system: System,
    sent: f64,
    delivered: f64,
    hard: f64,
    soft: f64,
    opened: f64,
    opened_by_machine: f64,
    clicked: f64,
    complained: f64,
    unsubscribed: f64,
}

const EMAIL: &[EmailCampaign] = &[
    EmailCampaign {
        name: SPIKING,
        system: System::SendGrid,
        sent: 10.0,
        delivered: 0.982,
        hard: 0.004,
        soft: 0.009,
        opened: 0.22,
        opened_by_machine: 0.07,
        clicked: 0.031,
        complained: 0.000_2,
        unsubscribed: QUIET_UNSUBSCRIBES,
    },
    EmailCampaign {
        name: "welcome_series",
        system: System::SendGrid,
        sent: 0.5,
        delivered: 0.985,
        hard: 0.006,
        soft: 0.006,
        opened: 0.44,
        opened_by_machine: 0.08,
        clicked: 0.09,
        complained: 0.000_1,
        unsubscribed: 0.001_5,
    },
    EmailCampaign {
        name: "weekly_digest",
        system: System::SendGrid,
        sent: 0.8,
        delivered: 0.978,
        hard: 0.005,
        soft: 0.012,
        opened: 0.27,
        opened_by_machine: 0.09,
        clicked: 0.042,
        complained: 0.000_2,
        unsubscribed: 0.001_8,
    },
    EmailCampaign {
        name: "order_updates",
        system: System::AmazonSes,
        sent: 0.4,
        delivered: 0.991,
        hard: 0.003,
        soft: 0.004,
        opened: 0.58,
        opened_by_machine: 0.0,
        clicked: 0.17,
        complained: 0.0,
        unsubscribed: 0.0,
    },
    EmailCampaign {
        name: "loyalty_club",
        system: System::AmazonSes,
        sent: 0.35,
        delivered: 0.98,
        hard: 0.006,
        soft: 0.008,
        opened: 0.33,
        opened_by_machine: 0.0,
        clicked: 0.06,
        complained: 0.000_3,
        unsubscribed: 0.001_6,
    },
];

/// What the web and social systems report, per second.
const ELSEWHERE: &[(System, Option<&str>, Deed, f64)] = &[
    (System::Segment, Some(SPIKING), Deed::PageViewed, 1.6),
    (System::Segment, Some(SPIKING), Deed::SignedUp, 0.04),
    (System::Segment, Some("summer_preview"), Deed::PageViewed, 0.5),
    (System::Segment, None, Deed::PageViewed, 0.4),
    (System::Segment, None, Deed::SignedUp, 0.02),
    (System::Ga4, Some("brand_search"), Deed::PageViewed, 0.9),
    (System::Ga4, Some("summer_preview"), Deed::PageViewed, 0.6),
    (System::CloudEvents, Some("summer_preview"), Deed::CtaShown, 1.2),
    (System::CloudEvents, Some("summer_preview"), Deed::CtaClicked, 1.2 * 0.042),
    (System::CloudEvents, Some("brand_search"), Deed::CtaShown, 0.6),
    (System::CloudEvents, Some("brand_search"), Deed::CtaClicked, 0.6 * 0.075),
    (System::CloudEvents, Some("brand_search"), Deed::Converted, 0.06),
    (System::CloudEvents, Some("summer_preview"), Deed::Converted, 0.025),
    (System::Canonical, Some("brand_film"), Deed::Viewed, 2.0),
    (System::Canonical, Some("brand_film"), Deed::Reacted, 0.12),
    (System::Canonical, Some("brand_film"), Deed::Shared, 0.03),
    (System::Canonical, Some("summer_preview"), Deed::Viewed, 0.8),
    (System::Canonical, Some("summer_preview"), Deed::Reacted, 0.04),
    (System::Meta, None, Deed::Reacted, 0.35),
    (System::Meta, None, Deed::Commented, 0.08),
    (System::Meta, None, Deed::Shared, 0.05),
];

/// Every stream, in a fixed order.
pub(super) fn streams(seed: u64) -> Vec<Stream> {
    let mut streams = Vec::new();
    for email in EMAIL {
        let mails = email.sent * email.delivered;
        for (deed, busiest) in [
            (Deed::Sent, email.sent),
            (Deed::Delivered, mails),
            (Deed::HardBounced, email.sent * email.hard),
            (Deed::SoftBounced, email.sent * email.soft),
            (Deed::Opened, mails * email.opened),
            (Deed::OpenedByMachine, mails * email.opened_by_machine),
            (Deed::Clicked, mails * email.clicked),
            (Deed::Complained, mails * email.complained),
            (Deed::Unsubscribed, mails * email.unsubscribed),
        ] {
            streams.push((email.system, Some(email.name), deed, busiest));
        }
    }
    streams.extend_from_slice(ELSEWHERE);
    let number_of = |campaign: Option<&str>| {
        campaign.map_or(0, |name| {
            name.bytes().fold(1, |sum: u64, byte| sum * 31 % 65_521 + u64::from(byte))
        })
    };
    streams
        .into_iter()
        .enumerate()
        .map(|(place, (system, campaign, deed, busiest))| {
            let rounding = match deed {
                Deed::Sent | Deed::Delivered => number_of(campaign) << 20,
                _ => place as u64,
            };
            Stream {
                system,
                campaign,
                deed,
                busiest,
                offset: Dice::at(&[seed, 1, rounding]).next(),
                drift_seed: Dice::at(&[seed, 2, number_of(campaign)]).next(),
            }
        })
        .collect()
}

impl Stream {
    /// Its expected rate in the second that begins at `second` (Unix seconds),
    /// where live traffic starts at `start`.
    pub(super) fn rate(&self, second: i64, start: EventTime, spikes: Spikes) -> f64 {
        let blast = self.campaign == Some(SPIKING);
        let drifting = 1.0 + 0.1 * drift(self.drift_seed, second, 240);
        let bent = if blast { launched(second, start) } else { daylight(second) };
        let mut rate = self.busiest * drifting * bent;
        if blast
            && self.deed == Deed::Unsubscribed
            && spikes.is_on(EventTime::from_secs(second) - start)
        {
            rate *= SPIKE_UNSUBSCRIBES / QUIET_UNSUBSCRIBES;
        }
        rate
    }
}

/// 0 before the launch, 1 at full speed.
fn launched(second: i64, start: EventTime) -> f64 {
    let since = (EventTime::from_secs(second) - (start - LAUNCHED_BEFORE)).secs();
    since.clamp(0, LAUNCH_TAKES) as f64 / LAUNCH_TAKES as f64
}

/// From 0.6 at two in the morning (UTC) to 1 at two in the afternoon: a parabola
/// each way.
fn daylight(second: i64) -> f64 {
    let half_days = (second - 2 * 3_600).rem_euclid(86_400) as f64 / 43_200.0;
    let from_night = if half_days < 1.0 { half_days } else { 2.0 - half_days };
    0.6 + 0.4 * (2.0 * from_night - from_night * from_night)
}
