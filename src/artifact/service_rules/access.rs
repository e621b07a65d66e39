//! Alert rules on TLS and signing in.

use super::{ServiceRule, minutes};
use crate::artifact::scope::Scope;
use crate::catalog;
use crate::objective::Severity;

/// Long enough to have a certificate renewed.
const SOON: i64 = 7 * 86_400;

pub(super) fn rules(scope: &Scope) -> Vec<ServiceRule> {
    let expires = scope.all(&catalog::CERTIFICATE_EXPIRES);
    vec![
        ServiceRule {
            alert: "TidegaugeCertificateExpires",
            severity: Severity::Warning,
            hold: minutes(5),
            expr: format!("{expires} - time() < {SOON}"),
            summary: "The TLS certificate of {{ $labels.instance }} expires within a week",
            description: "It has {{ $value | humanizeDuration }} left. Once it is over, Prometheus \
                          and browsers refuse the instance, and its figures go unseen. Put a new \
                          certificate where `cert_file` of its web configuration points: it is \
                          taken up within seconds, without a restart.",
        },
        ServiceRule {
            alert: "TidegaugeWebConfigBroken",
            severity: Severity::Warning,
            hold: minutes(1),
            expr: format!("{} == 0", scope.all(&catalog::WEB_CONFIG_UP_TO_DATE)),
            summary: "{{ $labels.instance }} cannot take up its changed web configuration",
            description: "What was in force before stays so, and a restart would fail. Its log \
                          names what is wrong, and so does `tidegauge check`: a certificate \
                          without its key, a file that it may not read, or a mistake in the file \
                          itself? It tries again by itself.",
        },
    ]
}
