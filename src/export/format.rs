//! Which format of the page a client gets, by its `Accept` header.

/// A format of the metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus' text format, version 0.0.4.
    Text,
    /// OpenMetrics.
    OpenMetrics(OpenMetricsVersion),
}

/// A version of OpenMetrics. A page is the same text in each: nothing that differs
/// between them is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMetricsVersion {
    /// 0.0.1, of the draft.
    Draft,
    /// 1.0.0.
    One,
}

/// What there is to choose from: media type and version. Of those that a client likes
/// equally it gets the first.
const OFFERS: [(PageFormat, &str, &str, &str); 3] = [
    (PageFormat::Text, "text", "plain", "0.0.4"),
    (PageFormat::OpenMetrics(OpenMetricsVersion::One), "application", "openmetrics-text", "1.0.0"),
    (
        PageFormat::OpenMetrics(OpenMetricsVersion::Draft),
        "application",
        "openmetrics-text",
        "0.0.1",
    ),
];

impl PageFormat {
    /// The `Content-Type` of such a page.
    pub const fn content_type(self) -> &'static str {
        match self {
            PageFormat::Text => "text/plain; version=0.0.4; charset=utf-8",
            PageFormat::OpenMetrics(OpenMetricsVersion::One) => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8"
            }
            PageFormat::OpenMetrics(OpenMetricsVersion::Draft) => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8"
            }
        }
    }

    /// The format that `accept` prefers (RFC 9110, 12.5.1): each has the quality of the
    /// range that is most specific about it. The text format where all are refused or
    /// something is asked for that no page is in, since any page helps a person more
    /// than a refusal.
    pub fn negotiate(accept: &str) -> Self {
        let ranges: Vec<Range> = accept.split(',').map(Range::parse).collect();
        let (mut chosen, mut best) = (PageFormat::Text, 0);
        for (format, kind, subtype, version) in OFFERS {
            let about = ranges.iter().filter_map(|range| range.about(kind, subtype, version));
            let quality = about.max().map_or(0, |(_, quality)| quality);
            if quality > best {
                (chosen, best) = (format, quality);
            }
        }
        chosen
    }
}

/// One range of an `Accept` header.
struct Range {
    media: String,
    version: Option<String>,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn parse(text: &str) -> Range {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut range = Range { media, version: None, quality: 1_000 };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => range.quality = thousandths(value.trim()),
                "version" => range.version = Some(value.trim().trim_matches('"').to_owned()),
                _ => {}
            }
        }
        range
    }

    /// How specific it is about a format, and the quality that it gives it; `None` where
    /// it is about others.
    fn about(&self, kind: &str, subtype: &str, version: &str) -> Option<(u8, u16)> {
        let specific = match (self.media.split_once('/')?, self.version.as_deref()) {
            (("*", "*"), _) => 0,
            ((of, "*"), _) if of == kind => 1,
            ((of, sub), None) if (of, sub) == (kind, subtype) => 2,
            ((of, sub), Some(asked)) if (of, sub, asked) == (kind, subtype, version) => 3,
            _ => return None,
        };
        Some((specific, self.quality))
    }
}

/// A quality (RFC 9110, 12.4.2) in thousandths; 0 where it is none.
fn thousandths(quality: &str) -> u16 {
    match quality.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1_000.0).round() as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFT: PageFormat = PageFormat::OpenMetrics(OpenMetricsVersion::Draft);
    const ONE: PageFormat = PageFormat::OpenMetrics(OpenMetricsVersion::One);

    #[track_caller]
    fn check(accept: &str, expected: PageFormat) {
        assert_eq!(PageFormat::negotiate(accept), expected, "Accept: {accept}");
    }

    #[test]
    fn a_scraper_gets_the_format_that_it_prefers() {
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ONE,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5",
            ONE,
        );
        check("text/plain;version=0.0.4, application/openmetrics-text;q=0.9", PageFormat::Text);
        check("Application/OpenMetrics-Text; version=\"1.0.0\"; Q=0.1", ONE);
        check("application/openmetrics-text;q=0, text/plain;q=0.1", PageFormat::Text);
        check("application/openmetrics-text;q=0, */*", PageFormat::Text);
        check("text/plain;q=0.3, */*;q=0.2, application/*;q=0.4", ONE);
        check("application/openmetrics-text;q=0.5, text/*;q=0.6, text/plain;q=0.4", ONE);
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ONE,
        );
    }

    #[test]
    fn a_version_is_one_that_the_client_takes() {
        check("application/openmetrics-text;version=0.0.1", DRAFT);
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            DRAFT,
        );
        check(
            "application/openmetrics-text;version=1.0.0;q=0.5, application/openmetrics-text;version=0.0.1",
            DRAFT,
        );
        check(
            "application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text;q=0.9",
            DRAFT,
        );
        check(
            "application/openmetrics-text;version=0.0.1, application/openmetrics-text;version=1.0.0",
            ONE,
        );
        check("application/openmetrics-text;version=2.0.0", PageFormat::Text);
        check("text/plain;version=1.0.0", PageFormat::Text);
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        check("", PageFormat::Text);
        check("*/*", PageFormat::Text);
        check("text/html,application/xhtml+xml,*/*;q=0.8", PageFormat::Text);
        check("application/openmetrics-text;q=high", PageFormat::Text);
        check(";;,=;q=1,\u{1F},", PageFormat::Text);
    }
}
