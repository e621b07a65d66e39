//! What is shipped under `deploy/`, used as it stands: unit, chart, image, package, stack.

mod helm;
mod systemd;
mod tools;
