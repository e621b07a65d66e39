//! Files in, validated specs or every problem at once out.
//!
//! Pure: files and the environment come in through [`reader::Context`] and the
//! closures behind it, so that a test needs no disk. What a file may say is read
//! through [`reader::Table`], which notes every problem with its place and goes on;
//! nothing here stops at the first mistake, and an unknown key is a mistake.

mod catalogue;
mod declared;
mod duration;
mod families;
pub mod files;
mod format;
mod formats;
mod generate;
mod kafka;
mod kpis;
mod load;
mod measures;
mod objectives;
pub mod problem;
mod read;
pub mod reader;
mod secret;
mod service;
mod sign_in;
mod slices;
mod spec;
mod suggest;
mod summary;
mod tls;
mod units;
mod world;

pub use duration::parse_duration;
pub use files::Files;
pub use format::read_format;
pub use formats::shipped_formats;
pub use load::{Disk, load, load_export, parse};
pub use problem::{Place, Problem, ProblemList, Problems};
pub use read::{read, read_export};
pub use secret::Secret;
pub use sign_in::{PasswordMechanism, SignInSpec, TokenSpec};
pub use spec::{
    Config, DeadLetterSpec, ExportSpec, KafkaSpec, LogFormat, LogSpec, STATE_VERSIONS, StateSpec,
    TopicSpec, seen_at,
};
pub use suggest::did_you_mean;
pub use summary::summary;
pub use tls::{Identity, TlsSpec};
pub use world::World;
