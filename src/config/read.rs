//! All files of a configuration in, a [`Config`] or every problem at once out.
//!
//! Three steps: the main file and what it includes are read as text; what they
//! declare is gathered by name over all files; then slices, measures, KPIs and
//! objectives are read in that order, each against those before it. A declaration
//! that is wrong is noted once: what depends on it is not judged, so that one
//! mistake does not look like five.

use super::catalogue::{self, KPIS, SLICES, Selection};
use super::declared::{Declared, Gathered};
use super::files::beside;
use super::generate::Generate;
use super::kpis::KpiReader;
use super::measures::MeasureReader;
use super::objectives::ObjectiveReader;
use super::problem::{Place, ProblemList, Problems};
use super::reader::{Context, Document, Table, shown};
use super::spec::{Config, ExportSpec};
use super::world::World;
use super::{did_you_mean, families, formats, kafka, service, slices, summary};
use crate::event::Vocabulary;
use crate::kpi::Declarations;
use crate::objective::ObjectiveSpec;
use crate::window::BASE_PANE;

/// Reads the configuration in the file `path` and those that it includes.
///
/// The error is every problem in any of them, in order of files and lines.
pub fn read(path: &str, world: &World<'_>) -> Result<Config, ProblemList> {
    let problems = Problems::default();
    let config = match world.files.read(path) {
        Ok(text) => read_text(path, &text, world, &problems),
        Err(why) => {
            problems.add(Place::file(path), format!("cannot be read: {why}"));
            None
        }
    };
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ProblemList::from(problems)),
    }
}

/// Where the configuration at `path` is served, as far as that can be read: what else is
/// wrong with it is not looked at.
pub fn read_export(path: &str, world: &World<'_>) -> Option<ExportSpec> {
    let text = world.files.read(path).ok()?;
    let problems = Problems::default();
    let context = Context { problems: &problems, environment: world.environment };
    let document = Document::parse(path, &text, &context);
    Some(service::export(&mut document.table(), path))
}

/// A file as text, and whether it comes with the program.
struct SourceFile {
    name: String,
    text: String,
    shipped: bool,
}

fn read_text(path: &str, text: &str, world: &World<'_>, problems: &Problems) -> Option<Config> {
    let context = Context { problems, environment: world.environment };
    let main = Document::parse(path, text, &context);
    if !main.is_whole() {
        return None;
    }
    let mut root = main.table();
    let selection = catalogue::read(&mut root);
    let mut files = shipped_files(&selection);
    files.extend(included(&mut root, path, world));
    let documents: Vec<(Document<'_>, bool)> = files
        .iter()
        .map(|file| (Document::parse(&file.name, &file.text, &context), file.shipped))
        .collect();
    // Of a file with a syntax error nobody can say what it declares; then only what
    // each file says by itself is judged.
    let whole = documents.iter().all(|(document, _)| document.is_whole());
    let mut declared = AllGathered::new();
    let mut mappings = formats::Mappings::shipped();
    for (document, shipped) in documents.iter().filter(|(document, _)| document.is_whole()) {
        let mut table = document.table();
        if formats::is_mapping(&table) {
            mappings.add(table);
        } else {
            declared.add(&mut table, *shipped);
            table.finish();
        }
    }
    declared.add(&mut root, false);
    let config = assemble(root, declared, mappings, selection, path, world, whole);
    whole.then_some(config).flatten()
}

fn shipped_files(selection: &Selection) -> Vec<SourceFile> {
    std::iter::once(&SLICES)
        .chain(selection.kpis.iter().map(|index| &KPIS[*index]))
        .map(|shipped| SourceFile {
            name: shipped.file.to_owned(),
            text: shipped.text.to_owned(),
            shipped: true,
        })
        .collect()
}

fn included(root: &mut Table<'_>, path: &str, world: &World<'_>) -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = Vec::new();
    let values = root.optional("include").map(|list| list.one_or_more()).unwrap_or_default();
    for value in values {
        let Some(pattern) = value.name_text() else { continue };
        let pattern = beside(path, &pattern);
        let listed = match world.files.list(&pattern) {
            Ok(listed) => listed,
            Err(why) => {
                value.problem_with(
                    format!("cannot list `{}`: {why}", shown(&pattern)),
                    "paths are relative to the file that names them; without own files, leave \
                     `include` out",
                );
                continue;
            }
        };
        if listed.is_empty() {
            value.problem_with(
                format!("no file matches `{}`", shown(&pattern)),
                "paths are relative to the file that names them",
            );
        }
        for name in listed {
            if name == path || files.iter().any(|file| file.name == name) {
                continue;
            }
            match world.files.read(&name) {
                Ok(text) => files.push(SourceFile { name, text, shipped: false }),
                Err(why) => value.problem(format!("cannot read `{}`: {why}", shown(&name))),
            }
        }
    }
    files
}

struct AllGathered<'d> {
    slices: Gathered<'d>,
    measures: Gathered<'d>,
    kpis: Gathered<'d>,
    objectives: Gathered<'d>,
}

impl<'d> AllGathered<'d> {
    fn new() -> Self {
        AllGathered {
            slices: Gathered::new("slice"),
            measures: Gathered::new("measure"),
            kpis: Gathered::new("KPI"),
            objectives: Gathered::new("objective"),
        }
    }

    fn add(&mut self, table: &mut Table<'d>, shipped: bool) {
        self.slices.add(table, "slices", shipped);
        self.measures.add(table, "measures", shipped);
        self.kpis.add(table, "kpis", shipped);
        self.objectives.add(table, "objectives", shipped);
    }
}

fn assemble(
    mut root: Table<'_>,
    declared: AllGathered<'_>,
    mappings: formats::Mappings,
    selection: Selection,
    path: &str,
    world: &World<'_>,
    whole: bool,
) -> Option<Config> {
    let problems = root.problems();
    let instance = service::instance(&mut root, world);
    let time = service::time(&mut root);
    let kafka = kafka::read(&mut root, world, path, &mappings.names(), time.stale_after);
    let formats = mappings.finish();
    let export = service::export(&mut root, path);
    let generate = Generate::gather(&mut root);
    let limits = service::limits(&mut root);
    let log = service::log(&mut root);
    let run = service::run(&mut root, world, path);
    let state = service::state(&mut root, path);
    let duplicates = service::duplicates(&mut root);
    let own_types = root.optional("own_types").map(|list| list.texts()).unwrap_or_default();
    let signed_types = root.optional("signed_types");
    root.finish();
    if !whole {
        return None;
    }

    let slices_declared = selected_slices(declared.slices, selection, problems);
    let slices: Vec<_> = slices_declared.iter().map(slices::read).collect();
    let scope = generate.read(&slices);
    let longest_window = slices
        .iter()
        .flatten()
        .flat_map(|slice| &slice.windows)
        .map(|window| window.size())
        .max()
        .unwrap_or(BASE_PANE);

    let measures_declared = declared.measures.distinct(problems);
    let mut reader = MeasureReader {
        vocabulary: Vocabulary::canonical(),
        own_types: &own_types,
        longest_window,
    };
    let measures: Vec<_> = measures_declared.iter().map(|declared| reader.read(declared)).collect();
    if let Some(list) = signed_types {
        reader.allow_negative(&list);
    }
    let vocabulary = reader.vocabulary;

    let kpis_declared = declared.kpis.distinct(problems);
    let reader = KpiReader {
        measures_declared: &measures_declared,
        measures: &measures,
        slices_declared: &slices_declared,
        slices: &slices,
    };
    let kpis: Vec<_> = kpis_declared.iter().map(|declared| reader.read(declared)).collect();
    families::check((&measures_declared, &measures), (&kpis_declared, &kpis));

    let reader = ObjectiveReader {
        kpis_declared: &kpis_declared,
        kpis: &kpis,
        slices_declared: &slices_declared,
        slices: &slices,
    };
    let objectives_declared = declared.objectives.distinct(problems);
    // First all of them, so that each one's problems are noted.
    let objectives: Vec<_> =
        objectives_declared.iter().map(|declared| reader.read(declared)).collect();
    let objectives: Vec<ObjectiveSpec> = objectives.into_iter().collect::<Option<_>>()?;

    let declarations = Declarations {
        vocabulary,
        measures: measures.into_iter().collect::<Option<_>>()?,
        kpis: kpis.into_iter().collect::<Option<_>>()?,
        slices: slices.into_iter().collect::<Option<_>>()?,
        lateness: time.lateness.unwrap_or(longest_window),
        future_tolerance: time.future_tolerance,
    };
    let fingerprint = summary::fingerprint(&declarations, &objectives);
    Some(Config {
        instance,
        kafka,
        formats,
        limits,
        declarations,
        objectives,
        export,
        scope,
        hash_key: run.hash_key,
        snapshot_every: run.snapshot_every,
        decoders: run.decoders,
        memory_limit: run.memory_limit,
        state,
        stale_after: time.stale_after,
        duplicates,
        log,
        shutdown_deadline: run.shutdown_deadline,
        fingerprint,
        warnings: problems.warnings(),
    })
}

/// The slices without those that `[catalogue] slices` leaves out.
fn selected_slices<'d>(
    mut slices: Gathered<'d>,
    selection: Selection,
    problems: &Problems,
) -> Vec<Declared<'d>> {
    let Some((list, wanted)) = selection.slices else { return slices.distinct(problems) };
    let shipped = slices.shipped_names();
    for (name, at) in &wanted {
        if !shipped.contains(name) {
            problems.add_maybe(
                at.clone(),
                format!("no shipped slice is called `{}`", shown(name)),
                did_you_mean(name, shipped.iter().map(String::as_str)),
            );
        }
    }
    let names: Vec<String> = wanted.into_iter().map(|(name, _)| name).collect();
    slices.keep_shipped(&names);
    let slices = slices.distinct(problems);
    if slices.is_empty() && names.is_empty() {
        problems.add_with(
            list,
            "no slice is left, so that nothing would be computed",
            "name one here, or declare one under [slices]",
        );
    }
    slices
}
