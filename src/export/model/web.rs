//! Signing in: who was refused, and what is in force.

use super::Samples;
use super::pipeline::{flag, single};
use crate::catalog;
use crate::export::{Refusal, WebReport};

pub(super) fn visit(web: Option<WebReport>, sink: &mut dyn FnMut(Samples)) {
    let Some(web) = web else { return };
    sink(flag(&catalog::WEB_CONFIG_UP_TO_DATE, web.up_to_date));
    let expires = web.expires.map(|time| time.as_secs_f64());
    sink(single(&catalog::CERTIFICATE_EXPIRES, expires));
    let mut refused = Samples::of(&catalog::REFUSED_CLIENTS);
    for (refusal, count) in Refusal::ALL.iter().zip(web.refused) {
        refused.add([("reason", refusal.name())], count as f64);
    }
    sink(refused);
}
