//! The event types that are known: the canonical ones, and those that a declared
//! measure asks for.

use std::collections::HashMap;

/// A known event type: an index into the [`Vocabulary`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u16);

impl TypeId {
    /// Its place in the vocabulary, for tables by type.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Every known type, in a fixed order: canonical first, then as added.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    names: Vec<Box<str>>,
    totals: Vec<bool>,
    by_name: HashMap<Box<str>, TypeId, foldhash::fast::RandomState>,
}

/// The canonical types with, for each, whether it is a restated total, which
/// needs a key.
pub const CANONICAL_TYPES: &[(&str, bool)] = &[
    ("email.sent", false),
    ("email.delivered", false),
    ("email.deferred", false),
    ("email.bounced", false),
    ("email.dropped", false),
    ("email.opened", false),
    ("email.clicked", false),
    ("email.complained", false),
    ("email.unsubscribed", false),
    ("email.subscribed", false),
    ("email.replied", false),
    ("email.forwarded", false),
    ("email.inbox_placed", false),
    ("email.spam_placed", false),
    ("email.list_size", true),
    ("web.page_viewed", false),
    ("web.session_started", false),
    ("web.session_ended", false),
    ("web.engaged", false),
    ("web.cta_shown", false),
    ("web.cta_clicked", false),
    ("web.form_started", false),
    ("web.form_submitted", false),
    ("web.searched", false),
    ("web.product_viewed", false),
    ("web.cart_updated", false),
    ("web.checkout_started", false),
    ("web.converted", false),
    ("web.signed_up", false),
    ("web.identified", false),
    ("web.file_downloaded", false),
    ("web.video_watched", false),
    ("web.search_rank", true),
    ("social.post_published", false),
    ("social.post_deleted", false),
    ("social.viewed", false),
    ("social.impressions", true),
    ("social.reach", true),
    ("social.reacted", false),
    ("social.reaction_removed", false),
    ("social.commented", false),
    ("social.comment_removed", false),
    ("social.shared", false),
    ("social.saved", false),
    ("social.mentioned", false),
    ("social.message_received", false),
    ("social.message_sent", false),
    ("social.replied", false),
    ("social.link_clicked", false),
    ("social.video_watched", false),
    ("social.followed", false),
    ("social.unfollowed", false),
    ("social.blocked", false),
    ("social.followers", true),
    ("crm.lead_created", false),
    ("crm.contact_updated", false),
    ("crm.stage_changed", false),
    ("crm.trial_started", false),
    ("crm.trial_ended", false),
    ("crm.won", false),
    ("crm.lost", false),
    ("crm.csat_recorded", false),
    ("commerce.order_placed", false),
    ("commerce.order_paid", false),
    ("commerce.order_cancelled", false),
    ("commerce.refunded", false),
    ("commerce.chargeback", false),
    ("commerce.subscription_started", false),
    ("commerce.subscription_renewed", false),
    ("commerce.subscription_cancelled", false),
    ("commerce.payment_failed", false),
    ("commerce.checkout_abandoned", false),
    ("spend.cost", true),
    ("spend.impressions", true),
    ("spend.clicks", true),
    ("spend.conversions", true),
    ("messaging.sent", false),
    ("messaging.delivered", false),
    ("messaging.opened", false),
    ("messaging.clicked", false),
    ("messaging.bounced", false),
];

impl Default for Vocabulary {
    fn default() -> Self {
        Self::canonical()
    }
}

impl Vocabulary {
    /// The canonical types alone.
    pub fn canonical() -> Self {
        let mut vocabulary =
            Vocabulary { names: Vec::new(), totals: Vec::new(), by_name: HashMap::default() };
        for &(name, total) in CANONICAL_TYPES {
            vocabulary.insert(name, total);
        }
        vocabulary
    }

    /// Makes a type known that a measure asks for; known types keep their id.
    ///
    /// Returns `None` for a name that is not `<domain>.<name>`, or when 65,536
    /// types are known already.
    pub fn add(&mut self, name: &str) -> Option<TypeId> {
        match self.get(name) {
            Some(known) => Some(known),
            None if valid_type_name(name) => self.insert(name, false),
            None => None,
        }
    }

    fn insert(&mut self, name: &str, total: bool) -> Option<TypeId> {
        let id = TypeId(u16::try_from(self.names.len()).ok()?);
        self.names.push(name.into());
        self.totals.push(total);
        self.by_name.insert(name.into(), id);
        Some(id)
    }

    /// The id of a known type.
    pub fn get(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The name of a type of this vocabulary.
    pub fn name(&self, id: TypeId) -> &str {
        &self.names[id.index()]
    }

    /// The domain of a type of this vocabulary: `email` of `email.sent`.
    pub fn domain(&self, id: TypeId) -> &str {
        let name = self.name(id);
        name.split_once('.').map_or(name, |(domain, _)| domain)
    }

    /// Whether it is a restated total, which needs a key.
    pub fn is_total(&self, id: TypeId) -> bool {
        self.totals[id.index()]
    }

    /// How many types are known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether none is known, which never happens.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names of all known types, in order of their ids.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }
}

/// Whether it reads `<domain>.<name>` in lower-case letters, digits and underscores.
pub fn valid_type_name(name: &str) -> bool {
    let valid = |part: &str| {
        !part.is_empty()
            && part.len() <= 64
            && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    name.split_once('.').is_some_and(|(domain, rest)| valid(domain) && valid(rest))
}
