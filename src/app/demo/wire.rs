//! Acts in, records out, in the words of the system that reports them.
//!
//! One function a vendor, each writing the fields that this vendor's consumers
//! read. Which of them the product reads is the business of the format files; a
//! test holds the two together.

use serde_json::{Value, json};

use super::campaigns::{Deed, System};
use super::random::Dice;
use super::simulator::{Act, LISTS, SimulatedRecord, Truth};
use crate::event::EventTime;

/// SendGrid posts what has come up since the last post.
const SENDGRID_BATCH: usize = 12;
const META_BATCH: usize = 4;

/// Writes a second of one system's acts, each with the time of its report.
pub(super) fn write(
    system: System,
    acts: Vec<(EventTime, Act)>,
    records: &mut Vec<SimulatedRecord>,
) {
    let together = match system {
        System::SendGrid => SENDGRID_BATCH,
        System::Meta => META_BATCH,
        _ => 1,
    };
    for part in acts.chunks(together) {
        let [(_, first), ..] = part else { continue };
        let time = part.iter().map(|(reported, _)| *reported).max().unwrap_or_default();
        let acts: Vec<Act> = part.iter().map(|(_, act)| act.clone()).collect();
        let (headers, value) = match system {
            System::SendGrid => (Vec::new(), acts.iter().map(sendgrid).collect()),
            System::AmazonSes => (Vec::new(), amazon_ses(first, time)),
            System::Segment => (Vec::new(), segment(first, time)),
            System::Ga4 => (Vec::new(), ga4(first)),
            System::CloudEvents => cloud_event(first),
            System::Meta => (Vec::new(), meta(&acts, time)),
            System::Canonical => (Vec::new(), canonical(first)),
        };
        let key = match system {
            System::SendGrid | System::Meta => None,
            _ => Some(format!("{:x}", first.user)),
        };
        let value = value.to_string().into_bytes();
        let topic = system.topic();
        records.push(SimulatedRecord {
            topic,
            key,
            headers,
            value,
            time,
            truth: Truth::Acts(acts),
        });
    }
}

/// A record that no format can read, or one of a type that nobody knows.
pub(super) fn odd(time: EventTime, dice: &mut Dice) -> SimulatedRecord {
    let number = dice.next();
    let (system, value, truth) = match dice.below(5) {
        // Cut off on its way, as by a proxy with a body limit.
        0 => (
            System::SendGrid,
            r#"[{"email":"user77@example.com","event":"deliv"#.to_owned(),
            Truth::Broken,
        ),
        // A service that forgot the time.
        1 => (
            System::Canonical,
            json!({"id": hex(number), "type": "web.page_viewed", "user": "visitor-77"}).to_string(),
            Truth::Broken,
        ),
        // A phone whose clock has never been set.
        2 => (
            System::Segment,
            json!({
                "type": "page", "messageId": hex(number), "anonymousId": "visitor-77",
                "name": "Home", "timestamp": "1970-01-01T00:00:04.000Z"
            })
            .to_string(),
            Truth::Broken,
        ),
        // Somebody's log line on the wrong topic.
        3 => (System::Canonical, "INFO loyalty service started".to_owned(), Truth::Broken),
        // A new type that no measure asks for yet.
        _ => (
            System::Canonical,
            json!({
                "id": hex(number), "type": "loyalty.points_earned",
                "time": time.to_string(), "user": "visitor-77"
            })
            .to_string(),
            Truth::Unknown,
        ),
    };
    SimulatedRecord {
        topic: system.topic(),
        key: None,
        headers: Vec::new(),
        value: value.into_bytes(),
        time,
        truth,
    }
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn address(user: u64) -> String {
    let host = ["example.com", "example.net", "example.org"][(user % 3) as usize];
    format!("user{user}@{host}")
}

fn visitor(user: u64) -> String {
    format!("visitor-{user}")
}

fn sendgrid(act: &Act) -> Value {
    let mut event = json!({
        "email": address(act.user),
        "timestamp": act.time.micros() / 1_000_000,
        "event": match act.deed {
            Deed::Sent => "processed",
            Deed::HardBounced | Deed::SoftBounced => "bounce",
            Deed::Opened | Deed::OpenedByMachine => "open",
            Deed::Clicked => "click",
            Deed::Complained => "spamreport",
            Deed::Unsubscribed => "unsubscribe",
            _ => "delivered",
        },
        "sg_event_id": hex(act.number),
        "sg_message_id": format!("{:x}.filterdrecv-1", act.number >> 24),
        "category": ["marketing"],
        "marketing_campaign_name": act.campaign,
    });
    match act.deed {
        Deed::HardBounced => event["type"] = json!("bounce"),
        Deed::SoftBounced => event["status"] = json!("4.2.2"),
        Deed::Opened => event["sg_machine_open"] = json!(false),
        Deed::OpenedByMachine => event["sg_machine_open"] = json!(true),
        Deed::Clicked => event["url"] = json!("https://shop.example.com/offers"),
        _ => {}
    }
    event
}

/// Every fifth comes the way of a notification topic: JSON within JSON.
fn amazon_ses(act: &Act, reported: EventTime) -> Value {
    let (name, part) = match act.deed {
        Deed::Delivered => ("Delivery", "delivery"),
        Deed::HardBounced | Deed::SoftBounced => ("Bounce", "bounce"),
        Deed::Opened | Deed::OpenedByMachine => ("Open", "open"),
        Deed::Clicked => ("Click", "click"),
        Deed::Complained => ("Complaint", "complaint"),
        Deed::Unsubscribed => ("Subscription", "subscription"),
        _ => ("Send", "send"),
    };
    let at = act.time.to_string();
    let person = json!([{"emailAddress": address(act.user)}]);
    let detail = match act.deed {
        Deed::Delivered => json!({"timestamp": at, "recipients": [address(act.user)]}),
        Deed::HardBounced => json!({
            "timestamp": at, "bounceType": "Permanent", "bounceSubType": "General",
            "bouncedRecipients": person, "feedbackId": hex(act.number)
        }),
        Deed::SoftBounced => json!({
            "timestamp": at, "bounceType": "Transient", "bounceSubType": "MailboxFull",
            "bouncedRecipients": person, "feedbackId": hex(act.number)
        }),
        Deed::Opened | Deed::OpenedByMachine => json!({"timestamp": at}),
        Deed::Clicked => json!({"timestamp": at, "link": "https://shop.example.com/account"}),
        Deed::Complained => json!({
            "timestamp": at, "complainedRecipients": person,
            "complaintFeedbackType": "abuse", "feedbackId": hex(act.number)
        }),
        Deed::Unsubscribed => json!({
            "timestamp": at, "source": "UnsubscribeHeader", "contactList": "customers",
            "newTopicPreferences": {"unsubscribeAll": true},
            "oldTopicPreferences": {"unsubscribeAll": false}
        }),
        _ => json!({}),
    };
    let event = json!({
        "eventType": name,
        "mail": {
            "timestamp": at,
            "messageId": format!("demo-{}", hex(act.number)),
            "source": "shop@example.com",
            "destination": [address(act.user)],
            "tags": {"campaign": [act.campaign]},
        },
        part: detail,
    });
    if act.number.is_multiple_of(5) {
        return json!({
            "Type": "Notification",
            "MessageId": hex(act.number),
            "Timestamp": reported.to_string(),
            "Message": format!("{event}\n"),
        });
    }
    event
}

fn segment(act: &Act, reported: EventTime) -> Value {
    let mut call = json!({
        "messageId": hex(act.number),
        "anonymousId": visitor(act.user),
        "timestamp": act.time.to_string(),
        "receivedAt": reported.to_string(),
        "context": {"page": {"path": page(act), "referrer": "https://search.example.net/"}},
    });
    if let Some(campaign) = act.campaign {
        call["context"]["campaign"] =
            json!({"name": campaign, "source": "newsletter", "medium": "email"});
    }
    if act.deed == Deed::SignedUp {
        call["type"] = json!("track");
        call["event"] = json!("Signed Up");
    } else {
        call["type"] = json!("page");
        call["name"] = json!("Shop");
    }
    call
}

fn page(act: &Act) -> &'static str {
    ["/", "/offers", "/spring", "/stories/linen", "/basket"][(act.number % 5) as usize]
}

fn ga4(act: &Act) -> Value {
    json!({
        "client_id": visitor(act.user),
        "timestamp_micros": act.time.micros(),
        "events": [{
            "name": "page_view",
            "params": {
                "page_location": format!("https://go.example.com{}", page(act)),
                "campaign": act.campaign,
                "source": "search",
                "medium": "cpc",
                "session_id": act.user * 7 + 1,
                "engagement_time_msec": 1,
            },
        }],
    })
}

/// Half of them structured (all of it in the value), half binary (attributes in
/// the headers, the value is the data alone).
fn cloud_event(act: &Act) -> (Vec<(String, Vec<u8>)>, Value) {
    let mut data = json!({"user": visitor(act.user), "campaign": act.campaign});
    if act.deed == Deed::Converted {
        data["attributes"] = json!({"goal": "order"});
    }
    let attributes = [
        ("specversion", "1.0".to_owned()),
        ("id", hex(act.number)),
        ("source", "/shop/web".to_owned()),
        ("type", act.deed.kind().to_owned()),
        ("time", act.time.to_string()),
    ];
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    if act.number.is_multiple_of(2) {
        let mut headers: Vec<_> =
            attributes.iter().map(|(name, value)| header(&format!("ce_{name}"), value)).collect();
        headers.push(header("content-type", "application/json"));
        return (headers, data);
    }
    let mut event = json!({"datacontenttype": "application/json", "data": data});
    for (name, value) in attributes {
        event[name] = json!(value);
    }
    (vec![header("content-type", "application/cloudevents+json; charset=UTF-8")], event)
}

fn meta(acts: &[Act], reported: EventTime) -> Value {
    let change = |act: &Act| {
        let (item, id) = match act.deed {
            Deed::Reacted => ("reaction", "post_id"),
            Deed::Commented => ("comment", "comment_id"),
            _ => ("share", "share_id"),
        };
        let mut value = json!({
            "item": item,
            "verb": "add",
            "post_id": "1010_77",
            "from": {"id": act.user.to_string(), "name": "Somebody"},
            "created_time": act.time.micros() / 1_000_000,
        });
        if act.deed == Deed::Reacted {
            value["reaction_type"] = json!("like");
        } else {
            value[id] = json!(format!("1010_{}", act.number >> 20));
        }
        json!({"field": "feed", "value": value})
    };
    json!({
        "object": "page",
        "entry": [{
            "id": "1010",
            "time": reported.micros() / 1_000_000,
            "changes": acts.iter().map(change).collect::<Vec<_>>(),
        }],
    })
}

fn canonical(act: &Act) -> Value {
    let mut event = json!({
        "id": hex(act.number),
        "type": act.deed.kind(),
        "time": act.time.to_string(),
    });
    if act.deed == Deed::ListCounted {
        let (list, _) = LISTS[act.user as usize % LISTS.len()];
        event["key"] = json!(list);
        event["count"] = json!(act.count);
    } else {
        event["user"] = json!(visitor(act.user));
        event["campaign"] = json!(act.campaign);
    }
    event
}
