//! What is wrong with a configuration, where, and what to do about it.
//!
//! Comes in: one note for each mistake, from whoever reads a file. Goes out: all of
//! them, in order of file and line, as text for people. Nothing is ever an error
//! that stops the reading.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// A place in a file; line and column count from 1, columns in characters.
///
/// Line 0 means the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// Its line, from 1; 0 for the whole file.
    pub line: u32,
    /// The character in the line, from 1; 0 for the whole file.
    pub column: u32,
}

impl Place {
    /// A file as a whole.
    pub fn file(name: &str) -> Self {
        Place { file: name.into(), line: 0, column: 0 }
    }
}

/// `file:line:column`, or the file alone.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub at: Place,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

impl Problem {
    /// All of it in one line, for a log.
    pub fn one_line(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}: {} (help: {remedy})", self.at, self.what),
            None => format!("{}: {}", self.at, self.what),
        }
    }
}

/// `file:line:column: what`, and `  help: remedy` on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "\n  help: {remedy}"),
            None => Ok(()),
        }
    }
}

/// The mistakes found so far, and what is allowed and yet worth a warning; shared by all
/// that read.
///
/// Shared by reference with a cell inside, because a reader of a table and the
/// readers of the tables within it all write to it.
#[derive(Debug, Default)]
pub struct Problems {
    found: RefCell<Vec<Problem>>,
    warned: RefCell<Vec<Problem>>,
}

impl Problems {
    /// Notes a mistake for which no remedy can be named.
    pub fn add(&self, at: Place, what: impl Into<String>) {
        self.found.borrow_mut().push(Problem { at, what: what.into(), remedy: None });
    }

    /// Notes a mistake and what to do about it.
    pub fn add_with(&self, at: Place, what: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.found.borrow_mut().push(Problem { at, what: what.into(), remedy });
    }

    /// Notes a mistake whose remedy may be known.
    pub fn add_maybe(&self, at: Place, what: impl Into<String>, remedy: Option<String>) {
        self.found.borrow_mut().push(Problem { at, what: what.into(), remedy });
    }

    /// Notes what is allowed and yet worth a warning, and what to do instead.
    pub fn warn(&self, at: Place, what: impl Into<String>, remedy: impl Into<String>) {
        let remedy = Some(remedy.into());
        self.warned.borrow_mut().push(Problem { at, what: what.into(), remedy });
    }

    /// The warnings so far, by file and line.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut warned = self.warned.borrow().clone();
        warned.sort();
        warned
    }

    /// How many mistakes there are so far: a reader that wants to know whether a part was
    /// sound compares before and after.
    pub fn len(&self) -> usize {
        self.found.borrow().len()
    }

    /// Whether nothing is wrong so far; warnings are no mistakes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, by file and line; the same mistake at the same place once.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        found
    }
}

/// Every problem of a configuration, by file and line, the same mistake at the same
/// place once; never empty when it stands for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProblemList(Vec<Problem>);

impl ProblemList {
    /// The problems in order.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }
}

impl From<Vec<Problem>> for ProblemList {
    fn from(mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        ProblemList(problems)
    }
}

impl From<Problems> for ProblemList {
    fn from(problems: Problems) -> Self {
        ProblemList(problems.into_sorted())
    }
}

/// Each problem on lines of its own, then how many there are.
impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 problem"),
            several => write!(f, "{several} problems"),
        }
    }
}

impl std::error::Error for ProblemList {}
