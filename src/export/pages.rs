//! A metrics page as text, made once for each report and format.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use prometheus::TextEncoder;

use super::format::PageFormat;
use super::model::{self, Source};
use super::openmetrics;
use super::process::ProcessUse;
use super::web::WebReport;
use super::{NotReady, Report, Site};

/// Writes the page of `report` in `format`.
///
/// Cost: about a microsecond a series; the text is all that stands in memory at
/// once, beside the samples of one family.
pub fn encode(
    site: &Site,
    report: Option<&Report>,
    not_ready: &[NotReady],
    process: ProcessUse,
    web: Option<WebReport>,
    format: PageFormat,
) -> String {
    let source = Source { site, report, not_ready, process, web };
    let mut page = String::new();
    match format {
        PageFormat::Text => {
            let encoder = TextEncoder::new();
            model::visit(source, &mut |family| {
                // The encoder only refuses families without a name or samples, and
                // the model makes none.
                let _ = encoder.encode_utf8(&[family.proto], &mut page);
            });
        }
        PageFormat::OpenMetrics(_) => {
            model::visit(source, &mut |family| openmetrics::encode(&family, &mut page));
            page.push_str(openmetrics::END);
        }
    }
    page
}

/// The newest page of each format, so that several scrapers of one report cost one
/// encoding.
#[derive(Default)]
pub(super) struct PageCache {
    text: Mutex<Option<CachedPage>>,
    open_metrics: Mutex<Option<CachedPage>>,
}

struct CachedPage {
    report: Option<Arc<Report>>,
    not_ready: Vec<NotReady>,
    web: Option<WebReport>,
    page: Bytes,
}

impl PageCache {
    /// The page of `report` in `format`; made now unless it is the newest one.
    ///
    /// Blocks while another thread makes the same page.
    pub(super) fn get(
        &self,
        site: &Site,
        report: Option<Arc<Report>>,
        not_ready: Vec<NotReady>,
        web: Option<WebReport>,
        format: PageFormat,
    ) -> Bytes {
        let slot = match format {
            PageFormat::Text => &self.text,
            PageFormat::OpenMetrics(_) => &self.open_metrics,
        };
        // A page is put in whole or not at all, so a panic elsewhere spoils nothing.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = slot.as_ref()
            && report.is_some()
            && same(&cached.report, &report)
            && cached.not_ready == not_ready
            && cached.web == web
        {
            return cached.page.clone();
        }
        let process = ProcessUse::now();
        let page = Bytes::from(encode(site, report.as_deref(), &not_ready, process, web, format));
        *slot = Some(CachedPage { report, not_ready, web, page: page.clone() });
        page
    }
}

fn same(one: &Option<Arc<Report>>, other: &Option<Arc<Report>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
