//! A real Alertmanager with the configuration of `deploy/alertmanager`.
//!
//! The address of the webhooks is the one change made to a copy of it.

use std::fs;
use std::process::Command;

use super::process::{Server, installed};
use super::prometheus::copy_deployed;

/// The webhooks' address in the deployed file.
const DEPLOYED_WEBHOOK: &str = "http://127.0.0.1:9095";

/// A running Alertmanager; it ends when this is dropped.
pub(crate) struct AlertmanagerServer {
    server: Server,
    _folder: tempfile::TempDir,
}

impl AlertmanagerServer {
    /// Starts one that notifies `webhook` (`http://host:port`), each receiver under a
    /// path of its own name, and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(webhook: &str) -> Self {
        let binary = installed("prometheus-alertmanager", "prometheus-alertmanager");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config");
        copy_deployed("alertmanager", &config);
        let file = config.join("alertmanager.yml");
        let text = fs::read_to_string(&file).expect("alertmanager.yml");
        assert!(text.contains(DEPLOYED_WEBHOOK), "the deployed file names its webhooks' address");
        fs::write(&file, text.replace(DEPLOYED_WEBHOOK, webhook)).expect("it can be written");
        let data = folder.path().join("data");
        let server = Server::start(folder.path(), "/-/ready", |address| {
            let mut command = Command::new(&binary);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                // Empty: no gossip, so that nothing but the loopback is bound.
                .arg("--cluster.listen-address=")
                .arg("--log.level=warn");
            command
        });
        AlertmanagerServer { server, _folder: folder }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        self.server.base()
    }
}
