//! What the instances are told to compute, as data of the harness' own: the
//! configuration file is written from it, and the recount reads it.

use super::moment::{DAY, HOUR, MINUTE, Micros, SECOND};

/// All measures, KPIs and slices.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) measures: Vec<Measure>,
    pub(super) kpis: Vec<Kpi>,
    pub(super) slices: Vec<Slice>,
}

#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) what: What,
    pub(super) types: &'static [&'static str],
    pub(super) only: Only,
}

/// How it adds up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Count,
    /// Money of that currency.
    Sum(&'static str),
    /// Of the counts.
    Mean,
    /// Of the money.
    MeanMoney(&'static str),
    /// Of the counts, by key; how old at most.
    Last(Micros),
    DistinctUsers,
}

/// Which events of its types.
#[derive(Debug, Clone, Copy)]
pub(super) enum Only {
    All,
    /// The attribute `class` is this.
    Class(&'static str),
    /// Not by a machine.
    NotMachine,
}

#[derive(Debug, Clone)]
pub(super) struct Kpi {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) formula: Formula,
    /// Levels are read in the slice without fields only.
    pub(super) only_all: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Formula {
    Of(&'static str),
    Number(i64),
    Minus(Box<Formula>, Box<Formula>),
    Over(Box<Formula>, Box<Formula>),
    Or(Box<Formula>, Box<Formula>),
}

#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) name: &'static str,
    pub(super) by: &'static [&'static str],
    pub(super) windows: Vec<Window>,
    /// A window that came later, and whose edge the panes kept until then cannot cut: it
    /// has no figure until finer ones reach back far enough.
    pub(super) coarse: Option<&'static str>,
    pub(super) cap: Option<usize>,
}

/// Its name as a label, and its length.
pub(super) type Window = (&'static str, Micros);

const W10S: Window = ("10s", 10 * SECOND);
const W1M: Window = ("1m", MINUTE);
const W2M: Window = ("2m", 2 * MINUTE);
const W5M: Window = ("5m", 5 * MINUTE);
const W30M: Window = ("30m", 30 * MINUTE);
const W1H: Window = ("1h", HOUR);
const W24H: Window = ("24h", DAY);

fn measure(
    name: &'static str,
    unit: &'static str,
    what: What,
    types: &'static [&'static str],
    only: Only,
) -> Measure {
    Measure { name, unit, what, types, only }
}

fn of(name: &'static str) -> Box<Formula> {
    Box::new(Formula::Of(name))
}

fn or_zero(name: &'static str) -> Box<Formula> {
    Box::new(Formula::Or(of(name), Box::new(Formula::Number(0))))
}

fn kpi(name: &'static str, unit: &'static str, formula: Formula) -> Kpi {
    Kpi { name, unit, formula, only_all: false }
}

impl Declared {
    /// With every kind of aggregate.
    pub(super) fn new() -> Declared {
        let measures = vec![
            measure("delivered", "messages", What::Count, &["email.delivered"], Only::All),
            measure("unsubscribed", "people", What::Count, &["email.unsubscribed"], Only::All),
            measure("hard", "bounces", What::Count, &["email.bounced"], Only::Class("hard")),
            measure("openers", "people", What::DistinctUsers, &["email.opened"], Only::NotMachine),
            measure("clickers", "people", What::DistinctUsers, &["email.clicked"], Only::All),
            measure("bought", "orders", What::Count, &["commerce.order_paid"], Only::All),
            measure("paid", "eur", What::Sum("EUR"), &["commerce.order_paid"], Only::All),
            measure("refunds", "eur", What::Sum("EUR"), &["commerce.refunded"], Only::All),
            measure("score", "points", What::Mean, &["crm.csat_recorded"], Only::All),
            measure("basket", "usd", What::MeanMoney("USD"), &["commerce.order_paid"], Only::All),
            measure("listed", "people", What::Last(2 * HOUR), &["email.list_size"], Only::All),
        ];
        let net = || Box::new(Formula::Minus(of("paid"), or_zero("refunds")));
        let mut kpis = vec![
            kpi("leaving", "ratio", Formula::Over(of("unsubscribed"), of("delivered"))),
            kpi("hard_bounces", "ratio", Formula::Over(of("hard"), of("delivered"))),
            kpi("click_share", "ratio", Formula::Over(or_zero("clickers"), of("openers"))),
            kpi("net", "eur", *net()),
            kpi("average", "eur", Formula::Over(net(), of("bought"))),
            kpi("contentment", "points", Formula::Of("score")),
            kpi("dollars", "usd", Formula::Of("basket")),
        ];
        let list = Formula::Over(of("unsubscribed"), of("listed"));
        kpis.push(Kpi { only_all: true, ..kpi("shrinking", "ratio", list) });
        let slice = |name, by, windows: &[Window], cap| Slice {
            name,
            by,
            windows: windows.to_vec(),
            coarse: None,
            cap,
        };
        let slices = vec![
            slice("all", &[], &[W10S, W1M, W5M, W1H, W24H], None),
            slice("campaign", &["campaign"], &[W1M, W1H, W24H], None),
            slice("area", &["campaign", "region"], &[W5M, W24H], None),
            slice("page", &["page"], &[W1M, W1H, W24H], Some(6)),
        ];
        Declared { measures, kpis, slices }
    }

    /// A KPI with a measure of its own.
    pub(super) fn add_kpi(&mut self) {
        if self.kpis.iter().any(|kpi| kpi.name == "dropped_share") {
            return;
        }
        let types = &["email.dropped", "email.deferred"];
        self.measures.push(measure("held_back", "messages", What::Count, types, Only::All));
        let formula = Formula::Over(or_zero("held_back"), of("delivered"));
        self.kpis.push(kpi("dropped_share", "ratio", formula));
    }

    /// A KPI less, and with it the measures that nothing else asks for.
    pub(super) fn remove_kpi(&mut self) {
        self.kpis.retain(|kpi| kpi.name != "hard_bounces");
        self.measures.retain(|measure| measure.name != "hard");
    }

    /// Two windows more in the slices without a cap: one that the kept panes can answer
    /// at once, and one that they cannot.
    pub(super) fn add_windows(&mut self) {
        for slice in self.slices.iter_mut().filter(|slice| slice.cap.is_none()) {
            if !slice.windows.contains(&W30M) {
                slice.windows.extend([W2M, W30M]);
                slice.windows.sort_by_key(|window| window.1);
                slice.coarse = Some(W30M.0);
            }
        }
    }

    pub(super) fn measure(&self, name: &str) -> &Measure {
        let found = self.measures.iter().find(|measure| measure.name == name);
        found.unwrap_or_else(|| panic!("no measure {name}"))
    }

    pub(super) fn slices_of<'a>(&'a self, kpi: &Kpi) -> impl Iterator<Item = &'a Slice> {
        let only_all = kpi.only_all;
        self.slices.iter().filter(move |slice| !only_all || slice.by.is_empty())
    }

    /// What a slice's KPIs ask for.
    pub(super) fn measures_of(&self, slice: &Slice) -> Vec<&Measure> {
        let kpis = self.kpis.iter().filter(|kpi| !kpi.only_all || slice.by.is_empty());
        let mut names = Vec::new();
        for kpi in kpis {
            kpi.formula.names(&mut names);
        }
        self.measures.iter().filter(|measure| names.contains(&measure.name)).collect()
    }

    /// As a part of the configuration file.
    pub(super) fn toml(&self) -> String {
        let mut text = String::from("[catalogue]\nkpis = []\nslices = []\n\n");
        for measure in &self.measures {
            text.push_str(&measure.toml());
        }
        for kpi in &self.kpis {
            let slices: Vec<_> = self.slices_of(kpi).map(|slice| slice.name).collect();
            text.push_str(&format!(
                "[kpis.{}]\nformula = \"{}\"\nunit = \"{}\"\ndirection = \"up\"\nslices = {slices:?}\n\n",
                kpi.name,
                kpi.formula.text(),
                spelt(kpi.unit)
            ));
        }
        for slice in &self.slices {
            let windows: Vec<_> = slice.windows.iter().map(|window| window.0).collect();
            text.push_str(&format!(
                "[slices.{}]\nby = {:?}\nwindows = {windows:?}\n",
                slice.name, slice.by
            ));
            if let Some(cap) = slice.cap {
                text.push_str(&format!("cap = {cap}\n"));
            }
            text.push('\n');
        }
        text
    }
}

/// A unit in a configuration: currencies are in capitals.
fn spelt(unit: &str) -> String {
    if ["eur", "usd"].contains(&unit) { unit.to_uppercase() } else { unit.to_owned() }
}

impl Measure {
    /// The metric under which it is exported.
    pub(super) fn family(&self) -> String {
        format!("tidegauge_measure_{}_{}", self.name, self.unit)
    }

    fn toml(&self) -> String {
        let aggregate = match self.what {
            What::Count => "aggregate = \"count\"".to_owned(),
            What::Sum(currency) => {
                format!("aggregate = \"sum\"\nof = \"value\"\ncurrency = \"{currency}\"")
            }
            What::Mean => "aggregate = \"mean\"\nof = \"count\"".to_owned(),
            What::MeanMoney(currency) => {
                format!("aggregate = \"mean\"\nof = \"value\"\ncurrency = \"{currency}\"")
            }
            What::Last(age) => format!("aggregate = \"last\"\nmax_age = \"{}s\"", age / SECOND),
            What::DistinctUsers => "aggregate = \"distinct\"\nof = \"user\"".to_owned(),
        };
        let only = match self.only {
            Only::All => String::new(),
            Only::Class(class) => format!("where = {{ class = \"{class}\" }}\n"),
            Only::NotMachine => "where = { machine = { not = true } }\n".to_owned(),
        };
        let unit = match self.what {
            What::Sum(_) | What::MeanMoney(_) => String::new(),
            _ => format!("unit = \"{}\"\n", self.unit),
        };
        format!("[measures.{}]\n{aggregate}\ntypes = {:?}\n{only}{unit}\n", self.name, self.types)
    }
}

impl Kpi {
    /// The metric under which it is exported.
    pub(super) fn family(&self) -> String {
        format!("tidegauge_{}_{}", self.name, self.unit)
    }
}

impl Formula {
    fn text(&self) -> String {
        match self {
            Formula::Of(name) => (*name).to_owned(),
            Formula::Number(number) => number.to_string(),
            Formula::Minus(left, right) => format!("({} - {})", left.text(), right.text()),
            Formula::Over(left, right) => format!("({} / {})", left.text(), right.text()),
            Formula::Or(left, right) => format!("or({}, {})", left.text(), right.text()),
        }
    }

    pub(super) fn names(&self, into: &mut Vec<&'static str>) {
        match self {
            Formula::Of(name) => into.push(name),
            Formula::Number(_) => {}
            Formula::Minus(left, right) | Formula::Over(left, right) | Formula::Or(left, right) => {
                left.names(into);
                right.names(into);
            }
        }
    }
}
