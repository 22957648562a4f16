//! The metrics' names, what they mean, and their values at one moment. Must not gather any of them.

use std::{collections::BTreeMap, fmt};

use execlayer_api::{Profile, State, Status};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use super::tally::Tally;
use crate::counts::OfSink;

/// Everything, at one moment.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) tally: Tally,
    /// None if the daemon does not answer.
    pub(super) status: Option<Status>,
    pub(super) sinks: BTreeMap<String, OfSink>,
}

type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Collector for Moment {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.encode_records(&mut out)?;
        self.encode_sinks(&mut out)?;
        let up = u64::from(self.status.is_some());
        out.gauge("up", "Whether the daemon answers", [(vec![], up)])?;
        self.status.as_ref().map_or(Ok(()), |status| encode_status(status, &mut out))
    }
}

impl Moment {
    fn encode_records(&self, out: &mut Out<'_>) -> fmt::Result {
        let readable = [(vec![], u64::from(self.tally.is_readable))];
        out.gauge("audit_readable", "Whether the audit trail can be read", readable)?;
        let verdicts = self.tally.verdicts.iter().map(|(series, count)| {
            let labels = vec![
                ("agent", series.agent.as_str()),
                ("operation", series.operation.as_str()),
                ("verdict", series.verdict.as_str()),
                ("rule", series.rule.as_str()),
                ("enforced", if series.enforced { "true" } else { "false" }),
            ];
            (labels, *count)
        });
        out.counter("verdicts", "Verdicts in the audit trail", verdicts)?;
        let lost = self.tally.lost.iter().map(|((agent, cause), count)| {
            (vec![("agent", agent.as_str()), ("cause", cause.as_str())], *count)
        });
        out.counter("records_lost", "Records that are missing in the audit trail", lost)?;
        let answers = self
            .tally
            .answers
            .iter()
            .map(|(word, count)| (vec![("answer", word.as_str())], *count));
        out.counter("answers", "Ends of questions", answers)?;
        let help = "How long calls were held";
        let held = out.0.encode_descriptor("hold_seconds", help, None, MetricType::Histogram)?;
        self.tally.held.encode(held)
    }

    fn encode_sinks(&self, out: &mut Out<'_>) -> fmt::Result {
        let each = |value: fn(&OfSink, u64) -> u64| {
            let size = self.tally.size;
            self.sinks
                .iter()
                .map(move |(name, of)| (vec![("sink", name.as_str())], value(of, size)))
        };
        let name = "export_lag_records";
        let behind = each(|of, size| size.saturating_sub(of.next));
        out.gauge(name, "Records, or records behind the head, that were not sent yet", behind)?;
        out.gauge(
            "export_failing",
            "Whether the last attempt failed",
            each(|of, _size| u64::from(of.trouble.is_some())),
        )?;
        out.counter("export_sent", "Records or heads that were taken", each(|of, _size| of.sent))?;
        let lost = each(|of, _size| of.lost);
        out.counter("export_lost", "Records that were removed before they were sent", lost)?;
        let refused = each(|of, _size| of.refused);
        out.counter("export_refused", "Records that the other side would not have", refused)?;
        out.counter("export_failures", "Attempts that failed", each(|of, _size| of.failures))
    }
}

fn encode_status(status: &Status, out: &mut Out<'_>) -> fmt::Result {
    let states = [State::Starting, State::Enforcing, State::Degraded, State::Stopping];
    let states =
        states.map(|state| (vec![("state", state.name())], u64::from(state == status.state)));
    out.gauge("state", "The daemon's state: 1 for the one that it is in", states)?;
    let detached = status.programs.iter().filter(|program| !program.attached).count();
    let one = |value: u64| [(vec![], value)];
    out.gauge("programs_detached", "Kernel programs that are not attached", one(detached as u64))?;
    out.gauge("start_timestamp_seconds", "When the daemon was started", one(status.started))?;
    out.gauge("holds_open", "Calls that wait for an answer", one(u64::from(status.questions)))?;
    let audit = &status.audit;
    out.gauge("audit_records", "Records in the audit trail", one(audit.records))?;
    out.gauge("audit_signed_records", "How many a signed head covers", one(audit.signed))?;
    let help = "Records that could not be written since the daemon was started";
    out.counter("audit_unwritten", help, one(audit.unwritten))?;
    let help = "Events that the daemon could not read since it was started";
    out.counter("unknown_events", help, one(status.unknown_events))?;
    if let Some(canary) = &status.canary {
        out.gauge("canary_passed", "Whether a denied act fails", one(u64::from(canary.passed)))?;
        out.gauge("canary_timestamp_seconds", "When that was tried", one(canary.time))?;
    }
    encode_profiles(&status.profiles, out)
}

fn encode_profiles(profiles: &[Profile], out: &mut Out<'_>) -> fmt::Result {
    let each = |value: fn(&Profile) -> u64| {
        profiles.iter().map(move |profile| {
            let labels =
                vec![("agent", profile.agent.as_str()), ("policy", profile.policy.as_str())];
            (labels, value(profile))
        })
    };
    out.gauge("policy_version", "The policy in force", each(|profile| profile.version))?;
    let enforcing = each(|profile| u64::from(profile.mode == execlayer_api::Mode::Enforce));
    out.gauge("policy_enforcing", "1 if it denies, 0 if it only watches", enforcing)?;
    out.gauge("governed_tasks", "Threads under it", each(|profile| profile.governed_tasks))?;
    let lost = each(|profile| profile.lost_events);
    out.counter(
        "events_lost",
        "Events for which there was no room, since the gate was loaded",
        lost,
    )?;
    let expiring = profiles.iter().filter_map(|profile| {
        let labels = vec![("agent", profile.agent.as_str()), ("policy", profile.policy.as_str())];
        Some((labels, profile.expires?))
    });
    out.gauge("policy_expiry_timestamp_seconds", "When its time is over", expiring)
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let gauge = |value| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        self.family(name, help, gauge, values)
    }

    fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, ConstCounter::new, values)
    }

    fn family<'l, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        metric: impl Fn(u64) -> M,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let kind = metric(0).metric_type();
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            if labels.is_empty() {
                return metric(value).encode(family);
            }
            metric(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
