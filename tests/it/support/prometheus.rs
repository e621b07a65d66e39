//! A real Prometheus with the configuration of `deploy/prometheus`.
//!
//! Only a copy's files of targets are written anew, since the configuration itself
//! names no address. A test that cannot wait may shorten the intervals, which then is
//! the one change made to `prometheus.yml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::process::{Server, installed, wait_until};

/// The labels of a series, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// An alert as Prometheus holds it, its texts rendered.
#[derive(Debug, Clone)]
pub(crate) struct ActiveAlert {
    /// Its labels, the name among them.
    pub(crate) labels: Labels,
    /// Its texts.
    pub(crate) annotations: Labels,
}

/// Where a program of Debian's package `prometheus` is.
#[track_caller]
pub(crate) fn program(name: &str) -> PathBuf {
    installed(name, "prometheus")
}

/// Copies a folder of `deploy/`, with the folders in it.
pub(crate) fn copy_deployed(name: &str, to: &Path) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name), to);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a deployed folder").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a deployed file can be copied");
        }
    }
}

/// What a Prometheus is to do.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PrometheusSpec<'a> {
    /// `host:port` of every instance to scrape.
    pub(crate) targets: &'a [String],
    /// What the label `env` of each of them is; none for the others.
    pub(crate) environments: &'a [&'a str],
    /// The rule file's text; `None` for the deployed one.
    pub(crate) rules: Option<&'a str>,
    /// `http://host:port` of an Alertmanager.
    pub(crate) alertmanager: Option<&'a str>,
    /// Instead of the deployed five seconds, for scraping and evaluating.
    pub(crate) interval: Option<&'a str>,
    /// Instead of the deployed job: its text, and the folder of the files that it names.
    pub(crate) job: Option<(&'a str, &'a Path)>,
}

/// A running Prometheus; it ends when this is dropped.
pub(crate) struct PrometheusServer {
    server: Server,
    folder: tempfile::TempDir,
}

impl PrometheusServer {
    /// Starts one and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(spec: PrometheusSpec<'_>) -> Self {
        let binary = program("prometheus");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("config");
        copy_deployed("prometheus", &config);
        let file = config.join("prometheus.yml");
        if let Some(interval) = spec.interval {
            let text = fs::read_to_string(&file).expect("prometheus.yml");
            let text = text
                .replace("scrape_interval: 5s", &format!("scrape_interval: {interval}"))
                .replace("scrape_timeout: 4s", &format!("scrape_timeout: {interval}"))
                .replace("evaluation_interval: 5s", &format!("evaluation_interval: {interval}"));
            fs::write(&file, text).expect("prometheus.yml can be written");
        }
        if let Some((job, files)) = spec.job {
            let text = fs::read_to_string(&file).expect("prometheus.yml");
            let (before, _) = text.split_once("scrape_configs:\n").expect("jobs");
            fs::write(&file, format!("{before}scrape_configs:\n{job}")).expect("it can be written");
            copy(files, &config);
        }
        write_targets(&config.join("targets/tidegauge.yml"), spec.targets, spec.environments);
        let alertmanagers: Vec<String> = spec
            .alertmanager
            .iter()
            .map(|base| base.trim_start_matches("http://").to_owned())
            .collect();
        write_targets(&config.join("targets/alertmanager.yml"), &alertmanagers, &[]);
        if let Some(rules) = spec.rules {
            fs::write(config.join("tidegauge.rules.yml"), rules).expect("rules can be written");
        }
        let data = folder.path().join("data");
        let server = Server::start(folder.path(), "/-/ready", |address| {
            let mut command = Command::new(&binary);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={address}"))
                .arg("--log.level=warn");
            command
        });
        PrometheusServer { server, folder }
    }

    /// Names other instances; Prometheus notices by itself.
    #[allow(dead_code, reason = "for tests whose instances come and go")]
    pub(crate) fn set_targets(&self, targets: &[String]) {
        write_targets(&self.folder.path().join("config/targets/tidegauge.yml"), targets, &[]);
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        self.server.base()
    }

    /// The present value of an expression: labels and value of each series. A scalar
    /// has no labels. Panics with Prometheus' words where it is no valid expression.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<(Labels, f64)> {
        self.try_query(expression)
            .unwrap_or_else(|error| panic!("{error}, asking for {expression}"))
    }

    /// The same, with what Prometheus says against the expression as an error.
    pub(crate) fn try_query(&self, expression: &str) -> Result<Vec<(Labels, f64)>, String> {
        let answer = self.get("/api/v1/query", &[("query", expression)])?;
        let data = &answer["data"];
        if data["resultType"] == "scalar" || data["resultType"] == "string" {
            return Ok(vec![(Labels::new(), number(&data["result"][1]))]);
        }
        let series = data["result"].as_array().cloned().unwrap_or_default();
        Ok(series.iter().map(|one| (labels(&one["metric"]), number(&one["value"][1]))).collect())
    }

    /// Asks until `enough` is content with the answer.
    #[track_caller]
    pub(crate) fn wait_for(
        &self,
        expression: &str,
        limit: Duration,
        enough: impl Fn(&[(Labels, f64)]) -> bool,
    ) -> Vec<(Labels, f64)> {
        wait_until(
            limit,
            || {
                let found = self.query(expression);
                enough(&found).then_some(found)
            },
            || format!("{expression} is {:?}\n{}", self.query(expression), self.server.log()),
        )
    }

    /// The alerts of a name that fire.
    pub(crate) fn firing(&self, name: &str) -> Vec<ActiveAlert> {
        let answer = self.get("/api/v1/alerts", &[]).unwrap_or_else(|error| panic!("{error}"));
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        alerts
            .iter()
            .filter(|one| one["state"] == "firing" && one["labels"]["alertname"] == name)
            .map(|one| ActiveAlert {
                labels: labels(&one["labels"]),
                annotations: labels(&one["annotations"]),
            })
            .collect()
    }

    /// Waits until every group of rules was evaluated after this call.
    #[track_caller]
    pub(crate) fn wait_for_evaluation(&self, limit: Duration) {
        let now = jiff::Timestamp::now();
        let evaluated = |group: &Value| {
            let at = group["lastEvaluation"].as_str().unwrap_or_default();
            at.parse::<jiff::Timestamp>().is_ok_and(|at| at > now)
        };
        wait_until(
            limit,
            || {
                let answer = self.get("/api/v1/rules", &[]).ok()?;
                let groups = answer["data"]["groups"].as_array()?;
                (!groups.is_empty() && groups.iter().all(evaluated)).then_some(())
            },
            || format!("rules are not evaluated\n{}", self.server.log()),
        );
    }

    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut response = agent
            .get(format!("{}{path}", self.base()))
            .query_pairs(parameters.iter().copied())
            .call()
            .map_err(|error| error.to_string())?;
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }
}

fn write_targets(file: &Path, targets: &[String], environments: &[&str]) {
    let environments = environments.iter().map(Some).chain(std::iter::repeat(None));
    let groups: Vec<Value> = targets
        .iter()
        .zip(environments)
        .map(|(target, environment)| {
            let labels: BTreeMap<&str, &&str> =
                environment.map(|env| ("env", env)).into_iter().collect();
            serde_json::json!({ "targets": [target], "labels": labels })
        })
        .collect();
    // JSON is YAML; renamed into place, so that no half-written file is read.
    let text = serde_json::json!(groups).to_string();
    let draft = file.with_extension("draft");
    fs::write(&draft, text).expect("targets can be written");
    fs::rename(&draft, file).expect("targets can be replaced");
}

fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}
