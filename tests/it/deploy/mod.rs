//! What is shipped under `deploy/`, used as it stands: unit, chart, image, package, stack.

mod container;
mod debian;
mod helm;
mod machine;
mod mail;
mod network;
mod shipped;
mod stack;
mod systemd;
mod tools;
