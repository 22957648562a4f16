//! Prometheus over what deploy/ has for it: its configuration, its rules, and every expression of the dashboard. Must not
//! repeat what they say.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use execlayer_export::http;
use serde_json::Value;

use crate::{
    checkout,
    child::{Running, free_port},
    consumers,
    endpoint::{DENIED, Endpoint},
};

const RULES: &str = "deploy/prometheus/execlayer.rules.yml";
const SCRAPE: &str = "deploy/prometheus/scrape.yml";

/// Runs `promtool`, which must find nothing.
fn promtool(consumers: &Path, arguments: &[&str], files: &[&str], input: &str) {
    let mut command = Command::new(consumers.join("usr/bin/promtool"));
    command.args(arguments).args(files.iter().map(|file| checkout(file)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It ends with what it wants to know; a pipe that it has closed by then is its affair.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules_and_the_configuration() {
    let Some(consumers) = consumers() else { return };
    promtool(&consumers, &["check", "rules", "--lint=all", "--lint-fatal"], &[RULES], "");
    promtool(&consumers, &["check", "config", "--lint=all", "--lint-fatal"], &[SCRAPE], "");
}

#[test]
fn alerts_fire_when_they_should_and_not_when_they_should_not() {
    let Some(consumers) = consumers() else { return };
    let tests = "execlayer-export/tests/consumers/rules.test.yml";
    promtool(&consumers, &["test", "rules"], &[tests], "");
}

/// OpenMetrics as the older text format, which is all that `promtool` reads: there, what is said of a counter is said of
/// its sample's name, with `_total`.
fn in_prometheus_format(text: &str) -> String {
    let is_counter = |name: &str| text.contains(&format!("# TYPE {name} counter\n"));
    let line = |line: &str| {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if is_counter(name) => {
                format!("# {what} {name}_total {rest}\n")
            }
            _ => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(consumers) = consumers() else { return };
    let text = in_prometheus_format(&Endpoint::new().text());
    promtool(&consumers, &["check", "metrics"], &[], &text);
}

/// A Prometheus that scrapes one endpoint, as deploy/ has it but more often.
struct Prometheus {
    running: Running,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(consumers: &Path, endpoint: &Endpoint) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scrape = fs::read_to_string(checkout(SCRAPE)).unwrap();
        let address = endpoint.address.to_string();
        assert_eq!(scrape.matches("\"127.0.0.1:9464\"").count(), 1);
        let scrape = scrape.replace("127.0.0.1:9464", &address);
        let often =
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n";
        let configuration = folder.path().join("prometheus.yml");
        fs::write(&configuration, format!("{often}{scrape}")).unwrap();
        fs::copy(checkout(RULES), folder.path().join("execlayer.rules.yml")).unwrap();
        let place = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(consumers.join("usr/bin/prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={place}"));
        let running = Running::start(&mut command, folder.path());
        Self { running, url: format!("http://{place}/api/v1"), _folder: folder }
    }

    /// Asks it, once it listens, until an answer is what it should be.
    fn until<T>(&mut self, path: &str, mut look: impl FnMut(&Value) -> Option<T>) -> T {
        let agent = http::agent(None, Duration::from_secs(10)).unwrap();
        let url = format!("{}/{path}", self.url);
        self.running.until(&url, || {
            let text = agent.get(&url).call().ok()?.body_mut().read_to_string().ok()?;
            // While it starts it says so in words.
            let answer: Value = serde_json::from_str(&text).ok()?;
            assert_ne!(answer["status"], "error", "{url}: {text}");
            look(&answer["data"])
        })
    }

    /// The values of an expression, once there is one.
    fn values(&mut self, expression: &str) -> Vec<String> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.until(&format!("query?query={escaped}"), |data| {
            let results = data["result"].as_array()?;
            let value = |result: &Value| result["value"][1].as_str().unwrap().to_owned();
            (!results.is_empty()).then(|| results.iter().map(value).collect())
        })
    }
}

/// Every `expr` of a dashboard, wherever it is.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| expressions(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn prometheus_scrapes_the_endpoint_and_every_panel_of_the_dashboard_shows_something() {
    let Some(consumers) = consumers() else { return };
    let endpoint = Endpoint::new();
    let mut prometheus = Prometheus::start(&consumers, &endpoint);
    assert_eq!(prometheus.values("execlayer_up"), ["1"]);
    assert_eq!(prometheus.values("up{job=\"execlayer\"}"), ["1"]);
    let denied =
        r#"execlayer_verdicts_total{agent="coding-agent",verdict="deny",rule="no-shadow"}"#;
    assert_eq!(prometheus.values(denied), [DENIED.to_string()]);
    assert_eq!(prometheus.values(r#"execlayer_verdicts_total{rule="a \"rule\"\\"}"#), ["1"]);
    assert_eq!(prometheus.values("execlayer_hold_seconds_sum"), ["1.5"]);
    assert_eq!(prometheus.values(r#"execlayer_export_lost_total{sink="backup"}"#), ["3"]);
    // An alert without a wait fires right away.
    let firing = r#"ALERTS{alertname="ExeclayerProgramsDetached",alertstate="firing"}"#;
    assert_eq!(prometheus.values(firing), ["1"]);
    let health = prometheus.until("rules", |data| {
        let groups = data["groups"].as_array()?;
        let rules: Vec<_> = groups.iter().flat_map(|of| of["rules"].as_array().unwrap()).collect();
        let health = rules.iter().map(|rule| rule["health"].as_str().unwrap().to_owned());
        let health: Vec<_> = health.collect();
        (!health.is_empty() && !health.contains(&"unknown".to_owned())).then_some(health)
    });
    assert!(health.iter().all(|health| health == "ok"), "{health:?}");
    let dashboard = fs::read(checkout("deploy/grafana/execlayer.json")).unwrap();
    let mut found = Vec::new();
    expressions(&serde_json::from_slice(&dashboard).unwrap(), &mut found);
    assert!(found.len() > 20);
    for expression in found {
        // What Grafana puts in for "all", and for times.
        let asked = expression
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1h")
            .replace("$instance", ".*")
            .replace("$agent", ".*");
        assert!(!asked.contains('$'), "{asked}");
        prometheus.values(&asked);
    }
}
