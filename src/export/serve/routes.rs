//! The paths and what each answers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::Hosts;
use super::admission::{Sees, admit};
use crate::export::format::PageFormat;
use crate::export::loading::{self, LoadedShare, Loading};
use crate::export::pages::PageCache;
use crate::export::status::{self, History, Status};
use crate::export::web::Web;
use crate::export::{NotReady, Report, Site};

/// The engine publishes every second; after this long without a report it is
/// stalled.
const STALLED_AFTER: Duration = Duration::from_secs(30);

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

/// What a browser may do with an answer: nothing. The status page has one of its own.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const MISDIRECTED: &str = "\
This server is not known under the name that was asked for. On the machine itself ask
for localhost or 127.0.0.1; let `[export] hosts` name what else it is called.
";

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
    loading: Arc<Loading>,
    web: Option<Arc<Web>>,
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
    pub(super) fn new(site: Arc<Site>, loading: Arc<Loading>, web: Option<Arc<Web>>) -> Self {
        let newest = Newest { report: None, since: Instant::now() };
        Pages {
            site,
            loading,
            web,
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
        let Now { report, not_ready, loading } = self.now();
        let history = self.history();
        show(&Status::of(&self.site, report.as_deref(), &history, &not_ready, loading))
    }

    fn now(&self) -> Now {
        let newest = self.newest();
        let loading = self.loading.share();
        let mut not_ready = match (&newest.report, loading) {
            (Some(report), _) => report.not_ready.clone(),
            (None, Some(_)) => vec![NotReady::Loading],
            (None, None) => vec![NotReady::Starting],
        };
        if newest.report.is_some() && newest.since.elapsed() > STALLED_AFTER {
            not_ready.push(NotReady::Stalled);
        }
        Now { report: newest.report.clone(), not_ready, loading }
    }
}

/// How the instance is at the moment of a request.
struct Now {
    /// The newest report.
    report: Option<Arc<Report>>,
    /// Why it is not ready.
    not_ready: Vec<NotReady>,
    /// How far the saved state is read, while it is.
    loading: Option<LoadedShare>,
}

/// The router over all paths, for requests that come to one of `hosts`.
pub(super) fn router(pages: Arc<Pages>, hosts: Hosts, web: Option<Arc<Web>>) -> Router {
    let hosts = Arc::new(hosts);
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
        .layer(from_fn_with_state(web.clone(), admit))
        .layer(from_fn_with_state((hosts, web), guard))
}

/// Refuses what was meant for somebody else, and sees to it that no browser makes more
/// of an answer than it is.
async fn guard(
    State((hosts, web)): State<(Arc<Hosts>, Option<Arc<Web>>)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match hosts.admit(&request) {
        true => next.run(request).await,
        false => respond(StatusCode::MISDIRECTED_REQUEST, TEXT, MISDIRECTED),
    };
    let headers = response.headers_mut();
    for (name, value) in web.iter().flat_map(|web| web.headers()) {
        headers.entry(name).or_insert(value);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, kind)], body.into()).into_response()
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
        let Now { report, not_ready, .. } = pages.now();
        let web = pages.web.as_ref().map(|web| web.report());
        pages.cache.get(&pages.site, report, not_ready, web, format)
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

async fn readyz(
    State(pages): State<Arc<Pages>>,
    Extension(sees): Extension<Sees>,
    headers: HeaderMap,
) -> Response {
    let Now { report, not_ready: reasons, loading, .. } = pages.now();
    let says = |reason: &NotReady| loading::says(*reason, loading);
    let detail = |reason: &NotReady| report.as_ref().and_then(|report| report.detail(*reason));
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let all = sees == Sees::Everything;
    if accept(&headers).contains("application/json") {
        let listed: Vec<_> = reasons
            .iter()
            .map(|reason| {
                let name = reason.name();
                match all {
                    false => serde_json::json!({ "reason": name }),
                    true => serde_json::json!(
                        { "reason": name, "says": says(reason), "detail": detail(reason) }
                    ),
                }
            })
            .collect();
        let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": listed });
        return respond(status, JSON, format!("{body}\n"));
    }
    if reasons.is_empty() {
        return respond(status, TEXT, "ready\n");
    }
    let line = |reason: &NotReady| {
        if !all {
            return format!("{}\n", reason.name());
        }
        let detail = detail(reason).map_or_else(String::new, |detail| format!(": {detail}"));
        format!("{}: {}{detail}\n", reason.name(), says(reason))
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
