//! The event types that are known: the canonical ones, and those that a declared
//! measure asks for.

use std::collections::HashMap;

use Says::{Act, Level, Total};

/// A known event type: an index into the [`Vocabulary`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(u16);

impl TypeId {
    /// Its place in the vocabulary, for tables by type.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the events of a type say, and so which amounts they may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// That something happened. Its amounts are not below 0: what takes back has a
    /// type of its own.
    Act,
    /// How much of something there is, stated anew; it needs a key, and is not below 0.
    Level,
    /// How much of something there was, stated anew; it needs a key, and is below 0
    /// where more was taken back than came.
    Total,
}

/// Every known type, in a fixed order: canonical first, then as added.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    names: Vec<Box<str>>,
    totals: Vec<bool>,
    signed: Vec<bool>,
    by_name: HashMap<Box<str>, TypeId, foldhash::fast::RandomState>,
}

/// The canonical types with, for each, what its events say.
pub const CANONICAL_TYPES: &[(&str, Says)] = &[
    ("email.sent", Act),
    ("email.delivered", Act),
    ("email.deferred", Act),
    ("email.bounced", Act),
    ("email.dropped", Act),
    ("email.opened", Act),
    ("email.clicked", Act),
    ("email.complained", Act),
    ("email.unsubscribed", Act),
    ("email.subscribed", Act),
    ("email.replied", Act),
    ("email.forwarded", Act),
    ("email.inbox_placed", Act),
    ("email.spam_placed", Act),
    ("email.list_size", Level),
    ("web.page_viewed", Act),
    ("web.session_started", Act),
    ("web.session_ended", Act),
    ("web.engaged", Act),
    ("web.cta_shown", Act),
    ("web.cta_clicked", Act),
    ("web.form_started", Act),
    ("web.form_submitted", Act),
    ("web.searched", Act),
    ("web.product_viewed", Act),
    ("web.cart_updated", Act),
    ("web.checkout_started", Act),
    ("web.converted", Act),
    ("web.signed_up", Act),
    ("web.identified", Act),
    ("web.file_downloaded", Act),
    ("web.video_watched", Act),
    ("web.search_rank", Level),
    ("social.post_published", Act),
    ("social.post_deleted", Act),
    ("social.viewed", Act),
    ("social.impressions", Total),
    ("social.reach", Total),
    ("social.reacted", Act),
    ("social.reaction_removed", Act),
    ("social.commented", Act),
    ("social.comment_removed", Act),
    ("social.shared", Act),
    ("social.saved", Act),
    ("social.mentioned", Act),
    ("social.message_received", Act),
    ("social.message_sent", Act),
    ("social.replied", Act),
    ("social.link_clicked", Act),
    ("social.video_watched", Act),
    ("social.followed", Act),
    ("social.unfollowed", Act),
    ("social.blocked", Act),
    ("social.followers", Level),
    ("crm.lead_created", Act),
    ("crm.contact_updated", Act),
    ("crm.stage_changed", Act),
    ("crm.trial_started", Act),
    ("crm.trial_ended", Act),
    ("crm.won", Act),
    ("crm.lost", Act),
    ("crm.csat_recorded", Act),
    ("commerce.order_placed", Act),
    ("commerce.order_paid", Act),
    ("commerce.order_cancelled", Act),
    ("commerce.refunded", Act),
    ("commerce.chargeback", Act),
    ("commerce.subscription_started", Act),
    ("commerce.subscription_renewed", Act),
    ("commerce.subscription_cancelled", Act),
    ("commerce.payment_failed", Act),
    ("commerce.checkout_abandoned", Act),
    ("spend.cost", Total),
    ("spend.impressions", Total),
    ("spend.clicks", Total),
    ("spend.conversions", Total),
    ("messaging.sent", Act),
    ("messaging.delivered", Act),
    ("messaging.opened", Act),
    ("messaging.clicked", Act),
    ("messaging.bounced", Act),
];

impl Default for Vocabulary {
    fn default() -> Self {
        Self::canonical()
    }
}

impl Vocabulary {
    /// The canonical types alone.
    pub fn canonical() -> Self {
        let mut vocabulary = Vocabulary {
            names: Vec::new(),
            totals: Vec::new(),
            signed: Vec::new(),
            by_name: HashMap::default(),
        };
        for &(name, says) in CANONICAL_TYPES {
            vocabulary.insert(name, says);
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
            None if valid_type_name(name) => self.insert(name, Act),
            None => None,
        }
    }

    /// Lets the amounts of a type of this vocabulary be below 0.
    pub fn allow_negative(&mut self, id: TypeId) {
        self.signed[id.index()] = true;
    }

    fn insert(&mut self, name: &str, says: Says) -> Option<TypeId> {
        let id = TypeId(u16::try_from(self.names.len()).ok()?);
        self.names.push(name.into());
        self.totals.push(says != Act);
        self.signed.push(says == Total);
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

    /// Whether its amounts may be below 0.
    pub fn is_signed(&self, id: TypeId) -> bool {
        self.signed[id.index()]
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
