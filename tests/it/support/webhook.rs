//! What Alertmanager notifies, received.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::http::HttpServer;
use super::prometheus::Labels;

/// One alert of a notification.
#[derive(Debug, Clone)]
pub(crate) struct Notified {
    /// The receiver's name, which is the webhook's path.
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) status: String,
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its annotations.
    pub(crate) annotations: Labels,
    /// When the notification came in.
    #[allow(dead_code, reason = "for tests that measure how long it took")]
    pub(crate) at: Instant,
}

impl Notified {
    /// A label's value, or nothing.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// An annotation, or nothing.
    pub(crate) fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).map_or("", String::as_str)
    }
}

type Inbox = Arc<(Mutex<Vec<Notified>>, Condvar)>;

/// A webhook that remembers every alert that it was told of.
pub(crate) struct WebhookReceiver {
    inbox: Inbox,
    server: HttpServer,
}

impl WebhookReceiver {
    /// Listens on a free port.
    pub(crate) fn start() -> Self {
        let inbox: Inbox = Arc::default();
        let into = Arc::clone(&inbox);
        let server = HttpServer::start(move |path, body| {
            let alerts = read(path.trim_start_matches('/'), body);
            into.0.lock().expect("the inbox").extend(alerts);
            into.1.notify_all();
            Some(String::new())
        });
        WebhookReceiver { inbox, server }
    }

    /// `http://127.0.0.1:PORT`, for [`super::alertmanager::AlertmanagerServer::start`].
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Everything so far, in the order in which it came.
    pub(crate) fn all(&self) -> Vec<Notified> {
        self.inbox.0.lock().expect("the inbox").clone()
    }

    /// The first alert, also of those that came before, of which `wanted` is true.
    #[track_caller]
    pub(crate) fn wait_for(&self, limit: Duration, wanted: impl Fn(&Notified) -> bool) -> Notified {
        let end = Instant::now() + limit;
        let mut inbox = self.inbox.0.lock().expect("the inbox");
        loop {
            if let Some(found) = inbox.iter().find(|alert| wanted(alert)) {
                return found.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no such alert within {limit:?}; came: {:#?}", *inbox);
            inbox = self.inbox.1.wait_timeout(inbox, left).expect("the inbox").0;
        }
    }
}

fn read(receiver: &str, body: &str) -> Vec<Notified> {
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    let alerts = message["alerts"].as_array().cloned().unwrap_or_default();
    let pairs = |value: &Value| -> Labels {
        let pairs = value.as_object().into_iter().flatten();
        pairs
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    };
    alerts
        .iter()
        .map(|alert| Notified {
            receiver: receiver.to_owned(),
            status: alert["status"].as_str().unwrap_or_default().to_owned(),
            labels: pairs(&alert["labels"]),
            annotations: pairs(&alert["annotations"]),
            at: Instant::now(),
        })
        .collect()
}
