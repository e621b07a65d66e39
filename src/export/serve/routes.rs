//! The paths and what each answers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use crate::export::format::PageFormat;
use crate::export::pages::PageCache;
use crate::export::status::{self, History, Status};
use crate::export::{NotReady, Report, Site};

/// The engine publishes every second; after this long without a report it is
/// stalled.
const STALLED_AFTER: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

const PATHS: &str = "\
No such page. There are:

/                 the status page
/metrics          for Prometheus, in its text format or in OpenMetrics
/healthz          200 while the process lives
/readyz           200 while its verdicts count, else 503 and why not
/api/status.json  the data of the status page
/api/status.html  the part of the status page that changes
";

/// What the routes share.
pub(super) struct Pages {
    site: Arc<Site>,
    newest: Mutex<Newest>,
    history: Mutex<History>,
    cache: PageCache,
}

struct Newest {
    report: Option<Arc<Report>>,
    /// When it came, or the server started.
    since: Instant,
}

impl Pages {
    pub(super) fn new(site: Arc<Site>) -> Self {
        let newest = Newest { report: None, since: Instant::now() };
        Pages {
            site,
            newest: Mutex::new(newest),
            history: Mutex::default(),
            cache: PageCache::default(),
        }
    }

    /// Makes `report` the one that pages show.
    pub(super) fn take_in(&self, report: Arc<Report>) {
        self.history().take_in(&self.site, &report);
        let mut newest = self.newest();
        newest.report = Some(report);
        newest.since = Instant::now();
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        // It is whole at any moment: a panic elsewhere spoils nothing.
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // At worst a line lacks a point.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `show` makes of the data of the status page.
    fn status<T>(&self, show: impl FnOnce(&Status<'_>) -> T) -> T {
        let (report, not_ready) = self.now();
        let history = self.history();
        show(&Status::of(&self.site, report.as_deref(), &history, &not_ready))
    }

    /// The newest report, and why the instance is not ready as of now.
    fn now(&self) -> (Option<Arc<Report>>, Vec<NotReady>) {
        let newest = self.newest();
        let mut not_ready = match &newest.report {
            Some(report) => report.not_ready.clone(),
            None => vec![NotReady::Starting],
        };
        if newest.report.is_some() && newest.since.elapsed() > STALLED_AFTER {
            not_ready.push(NotReady::Stalled);
        }
        (newest.report.clone(), not_ready)
    }
}

/// The router over all paths.
pub(super) fn router(pages: Arc<Pages>) -> Router {
    // A page is compressed anew for each scrape, and the best level takes several
    // times as long for a few per cent.
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/status.json", get(status_json))
        .route("/api/status.html", get(status_fragment))
        .fallback(not_found)
        .layer(compression)
        .with_state(pages)
}

/// A response that nobody stores and no browser takes for something else.
fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body.into()).into_response()
}

fn accept(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::ACCEPT).iter();
    values.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",")
}

async fn metrics(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let format = PageFormat::negotiate(&accept(&headers));
    // A large page takes tens of milliseconds: too long for a thread that also has
    // to answer health checks.
    let page = tokio::task::spawn_blocking(move || {
        let (report, not_ready) = pages.now();
        pages.cache.get(&pages.site, report, not_ready, format)
    });
    match page.await {
        Ok(page) => respond(StatusCode::OK, format.content_type(), page),
        Err(error) => {
            tracing::error!(%error, "the metrics page could not be made");
            respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the page could not be made\n")
        }
    }
}

async fn healthz() -> Response {
    respond(StatusCode::OK, TEXT, "alive\n")
}

async fn readyz(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let (report, reasons) = pages.now();
    let detail = |reason: &NotReady| report.as_ref().and_then(|report| report.detail(*reason));
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if accept(&headers).contains("application/json") {
        let listed: Vec<_> = reasons
            .iter()
            .map(|reason| {
                let (name, says) = (reason.name(), reason.says());
                serde_json::json!({ "reason": name, "says": says, "detail": detail(reason) })
            })
            .collect();
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": listed });
        return respond(status, JSON, format!("{body}\n"));
    }
    if reasons.is_empty() {
        return respond(status, TEXT, "ready\n");
    }
    let line = |reason: &NotReady| {
        let detail = detail(reason).map_or_else(String::new, |detail| format!(": {detail}"));
        format!("{}: {}{detail}\n", reason.name(), reason.says())
    };
    let lines: String = reasons.iter().map(line).collect();
    respond(status, TEXT, lines)
}

/// A word that nobody can guess, so that only the page's own style and script run.
fn nonce() -> String {
    // Each state has keys of its own that the system's random source seeded.
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

async fn status_page(State(pages): State<Arc<Pages>>) -> Response {
    let nonce = nonce();
    let mut response = respond(StatusCode::OK, HTML, pages.status(|it| status::page(it, &nonce)));
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

async fn status_fragment(State(pages): State<Arc<Pages>>) -> Response {
    respond(StatusCode::OK, HTML, pages.status(status::fragment))
}

async fn status_json(State(pages): State<Arc<Pages>>) -> Response {
    match pages.status(|it| serde_json::to_string(it)) {
        Ok(json) => respond(StatusCode::OK, JSON, json),
        Err(error) => {
            tracing::error!(%error, "the status could not be written as JSON");
            respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the status could not be written\n")
        }
    }
}

async fn not_found() -> Response {
    respond(StatusCode::NOT_FOUND, TEXT, PATHS)
}
