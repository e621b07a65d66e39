//! Which of the two page formats a client gets, by its `Accept` header.

/// A format of the metrics page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus' text format, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl PageFormat {
    /// The `Content-Type` of such a page.
    pub const fn content_type(self) -> &'static str {
        match self {
            PageFormat::Text => "text/plain; version=0.0.4; charset=utf-8",
            PageFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that `accept` prefers; the text format where it prefers neither
    /// or asks for something that no page is in, since any page helps a person
    /// more than a refusal.
    pub fn negotiate(accept: &str) -> Self {
        let (mut text, mut open_metrics) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1_000, None);
            for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = thousandths(value.trim()),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match (media.as_str(), version) {
                ("application/openmetrics-text", None | Some("1.0.0")) => {
                    open_metrics = open_metrics.max(quality);
                }
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => {
                    text = text.max(quality);
                }
                _ => {}
            }
        }
        if open_metrics > text { PageFormat::OpenMetrics } else { PageFormat::Text }
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

    #[track_caller]
    fn check(accept: &str, expected: PageFormat) {
        assert_eq!(PageFormat::negotiate(accept), expected, "Accept: {accept}");
    }

    #[test]
    fn a_scraper_gets_the_format_that_it_prefers() {
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            PageFormat::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5",
            PageFormat::OpenMetrics,
        );
        check("text/plain;version=0.0.4, application/openmetrics-text;q=0.9", PageFormat::Text);
        check("Application/OpenMetrics-Text; version=\"1.0.0\"; Q=0.1", PageFormat::OpenMetrics);
        check("application/openmetrics-text;q=0, text/plain;q=0.1", PageFormat::Text);
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        check("", PageFormat::Text);
        check("*/*", PageFormat::Text);
        check("text/html,application/xhtml+xml,*/*;q=0.8", PageFormat::Text);
        check("application/openmetrics-text;version=0.0.1", PageFormat::Text);
        check("application/openmetrics-text;q=high", PageFormat::Text);
        check(";;,=;q=1,\u{1F},", PageFormat::Text);
    }
}
