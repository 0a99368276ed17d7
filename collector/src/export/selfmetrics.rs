//! The collector's metrics of itself.

use super::exposition::{Exposition, MetricKind, Number};
use crate::net::{Closed, NetTelemetry};
use mimamori_domain::abuse::Abuse;
use prometheus::core::Collector;
use prometheus::proto::{MetricFamily, MetricType};
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! labels {
    ($( $(#[doc = $doc:literal])* $type:ident { $( $variant:ident $name:literal $words:literal ),* $(,)? } )*) => { $(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type { $( #[doc = $words] $variant, )* }

        impl $type {
            /// Every one.
            pub const ALL: &'static [$type] = &[ $( $type::$variant, )* ];

            /// The label's value.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $( $type::$variant => $name, )* }
            }
        }
    )* };
}

labels! {
    /// Why a request was refused.
    RefusedBecause {
        Shape "shape" "400: the body is no batch.",
        Signature "signature" "401: the signature of a known key does not hold.",
        UnknownKey "unknown_key" "401: the key is not known.",
        Pending "pending" "403: the machine waits for approval.",
        Token "token" "403: the enrolment token is not accepted.",
        Slow "slow" "408: the body did not arrive in time.",
        Length "length" "411: no length.",
        TooLarge "too_large" "413: over the limits.",
        MediaType "media_type" "415: another type or encoding.",
        OtherCollector "other_collector" "421: meant for another collector.",
        Head "head" "422: the head is not understood.",
        TooMany "too_many" "429: more than its rate.",
        Budget "budget" "429: more than its storage of a day.",
        Unavailable "unavailable" "503: the store does not take it now.",
        Behind "behind" "Signed: something is missing before it.",
        Diverged "diverged" "Signed: it contradicts what is held.",
        Revoked "revoked" "Signed: the key is no longer welcome.",
        TooManyBranches "too_many_branches" "Signed: no further branch is kept.",
        TooManyChains "too_many_chains" "Signed: no further chain without approval.",
    }
    /// How an enrolment ended.
    EnrolResult {
        Active "active" "The machine may report.",
        Pending "pending" "The machine waits for approval.",
        Repeated "repeated" "The same answer as before.",
        Refused "refused" "Refused.",
    }
}

/// Seconds: from a fast disk's commit to one that keeps agents waiting.
const COMMIT_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// The metrics, in their own registry.
#[derive(Debug)]
pub struct SelfMetrics {
    registry: Registry,
    /// Frames receipted.
    pub frames_accepted: IntCounter,
    /// Seconds until a request's frames were durable.
    pub ingest_commit: Histogram,
    /// Bytes of the store's files.
    pub store_bytes: IntGauge,
    requests_refused: IntCounterVec,
    abused: IntCounterVec,
    alarms: IntGaugeVec,
    connections: IntGaugeVec,
    connections_closed: IntCounterVec,
    enrolments: IntCounterVec,
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn name(short: &str) -> String {
    format!("mimamori_collector_{short}")
}

impl SelfMetrics {
    /// All at zero; labels with a bounded set of values are there from the start.
    ///
    /// # Errors
    /// When two metrics have one name: a mistake in this file.
    pub fn new(version: &str, started_ms: i64) -> prometheus::Result<SelfMetrics> {
        let registry = Registry::new();
        let counter = |short: &str, help: &str| register(&registry, IntCounter::new(name(short), help));
        let counters = |short: &str, help: &str, label: &str| register(&registry, IntCounterVec::new(Opts::new(name(short), help), &[label]));
        let histogram = |short: &str, help: &str, buckets: &[f64]| {
            register(&registry, Histogram::with_opts(HistogramOpts::new(name(short), help).buckets(buckets.to_vec())))
        };
        let build = Opts::new(name("build_info"), "The collector's version; always 1.");
        register(&registry, GaugeVec::new(build, &["version"]))?.with_label_values(&[version]).set(1.0);
        let start = register(&registry, Gauge::new(name("start_timestamp_seconds"), "When the collector was started."))?;
        #[allow(clippy::cast_precision_loss, reason = "moments of this age are exact in a double")]
        start.set(started_ms as f64 / 1000.0);
        let connections = Opts::new(name("connections"), "Connections of agents, by whether they brought a verified report.");
        let alarms = Opts::new(name("security_alarm"), "1 while so much of a kind of abuse was counted that somebody should look.");
        let metrics = SelfMetrics {
            frames_accepted: counter("frames_accepted_total", "Frames verified, durable and receipted; what was held already counts again.")?,
            ingest_commit: histogram(
                "ingest_commit_seconds",
                "How long it took until a request's frames were durable, waiting for others included.",
                COMMIT_BUCKETS,
            )?,
            store_bytes: register(&registry, IntGauge::new(name("store_bytes"), "Size of the store's files."))?,
            requests_refused: counters("requests_refused_total", "Requests refused, by reason.", "reason")?,
            abused: counters("security_events_total", "Events of abuse since the start, by kind.", "kind")?,
            alarms: register(&registry, IntGaugeVec::new(alarms, &["kind"]))?,
            connections: register(&registry, IntGaugeVec::new(connections, &["state"]))?,
            connections_closed: counters("connections_closed_total", "Connections closed, by reason.", "reason")?,
            enrolments: counters("enrolments_total", "Enrolments, by how they ended.", "result")?,
            registry,
        };
        // Naming a label's value once makes its series.
        RefusedBecause::ALL.iter().for_each(|reason| drop(metrics.refused(*reason)));
        metrics.take_over(&NetTelemetry::default());
        for abuse in Abuse::ALL {
            drop(metrics.abused(*abuse));
            metrics.alarm(*abuse, false);
        }
        EnrolResult::ALL.iter().for_each(|result| drop(metrics.enrolled(*result)));
        Ok(metrics)
    }

    /// Requests refused for that reason.
    #[must_use]
    pub fn refused(&self, reason: RefusedBecause) -> IntCounter {
        self.requests_refused.with_label_values(&[reason.name()])
    }

    /// Events of that kind.
    #[must_use]
    pub fn abused(&self, abuse: Abuse) -> IntCounter {
        self.abused.with_label_values(&[abuse.name()])
    }

    /// Whether that kind is an alarm now.
    pub fn alarm(&self, abuse: Abuse, open: bool) {
        self.alarms.with_label_values(&[abuse.name()]).set(i64::from(open));
    }

    /// Takes over what the listeners count.
    pub fn take_over(&self, net: &NetTelemetry) {
        let open = |state: &str, number: &AtomicU64| {
            self.connections.with_label_values(&[state]).set(i64::try_from(number.load(Ordering::Relaxed)).unwrap_or(i64::MAX));
        };
        open("unverified", &net.open_unauthenticated);
        open("verified", &net.open_authenticated);
        for why in Closed::ALL {
            let counter = self.connections_closed.with_label_values(&[why.label()]);
            counter.inc_by(net.closed(why).saturating_sub(counter.get()));
        }
    }

    /// Enrolments that ended so.
    #[must_use]
    pub fn enrolled(&self, result: EnrolResult) -> IntCounter {
        self.enrolments.with_label_values(&[result.name()])
    }

    /// Writes all of them. The crate's own encoder knows no OpenMetrics, so both forms come from ours.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn write(&self, out: &mut Exposition<'_>) -> fmt::Result {
        for family in self.registry.gather() {
            let kind = kind_of(&family);
            out.family(family.name(), kind, family.help())?;
            for metric in family.get_metric() {
                let labels: Vec<(&str, &str)> = metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
                match kind {
                    MetricKind::Counter => out.sample(family.name(), &labels, Number::Real(metric.get_counter().get_value()))?,
                    MetricKind::Gauge => out.sample(family.name(), &labels, Number::Real(metric.get_gauge().get_value()))?,
                    MetricKind::Histogram => histogram(out, family.name(), metric.get_histogram())?,
                }
            }
        }
        Ok(())
    }

    /// What there is, for the reference.
    #[must_use]
    pub fn describe(&self) -> Vec<Described> {
        let describe = |family: &MetricFamily| {
            let labels = family.get_metric().iter().take(1).flat_map(|metric| metric.get_label());
            Described {
                name: family.name().to_owned(),
                kind: kind_of(family),
                labels: labels.map(|label| label.name().to_owned()).collect(),
                help: family.help().to_owned(),
            }
        };
        self.registry.gather().iter().map(describe).collect()
    }
}

/// A metric of the collector itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// How it behaves.
    pub kind: MetricKind,
    /// Its labels.
    pub labels: Vec<String>,
    /// What it means.
    pub help: String,
}

fn kind_of(family: &MetricFamily) -> MetricKind {
    match family.get_field_type() {
        MetricType::COUNTER => MetricKind::Counter,
        MetricType::HISTOGRAM => MetricKind::Histogram,
        _ => MetricKind::Gauge,
    }
}

fn histogram(out: &mut Exposition<'_>, name: &str, histogram: &prometheus::proto::Histogram) -> fmt::Result {
    let (bucket, count) = (format!("{name}_bucket"), Number::Count(histogram.get_sample_count()));
    for one in histogram.get_bucket().iter().filter(|one| one.upper_bound().is_finite()) {
        let bound = format!("{:?}", one.upper_bound());
        out.sample(&bucket, &[("le", &bound)], Number::Count(one.cumulative_count()))?;
    }
    out.sample(&bucket, &[("le", "+Inf")], count)?;
    out.sample(&format!("{name}_sum"), &[], Number::Real(histogram.get_sample_sum()))?;
    out.sample(&format!("{name}_count"), &[], count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::exposition::Format;

    #[test]
    fn every_reason_is_there_from_the_start_and_counts() {
        let metrics = SelfMetrics::new("0.1.0", 1_500).unwrap();
        metrics.frames_accepted.inc_by(3);
        metrics.refused(RefusedBecause::Behind).inc();
        metrics.ingest_commit.observe(0.004);
        let net = NetTelemetry::default();
        net.open_authenticated.store(2, Ordering::Relaxed);
        metrics.take_over(&net);
        let mut out = String::new();
        metrics.write(&mut Exposition::new(&mut out, Format::Text)).unwrap();
        for line in [
            "mimamori_collector_frames_accepted_total 3\n",
            "mimamori_collector_requests_refused_total{reason=\"behind\"} 1\n",
            "mimamori_collector_requests_refused_total{reason=\"too_many_chains\"} 0\n",
            "mimamori_collector_ingest_commit_seconds_bucket{le=\"0.0025\"} 0\n",
            "mimamori_collector_ingest_commit_seconds_bucket{le=\"0.005\"} 1\n",
            "mimamori_collector_ingest_commit_seconds_bucket{le=\"+Inf\"} 1\n",
            "mimamori_collector_ingest_commit_seconds_count 1\n",
            "mimamori_collector_connections{state=\"verified\"} 2\n",
            "mimamori_collector_build_info{version=\"0.1.0\"} 1\n",
            "mimamori_collector_start_timestamp_seconds 1.5\n",
            "mimamori_collector_enrolments_total{result=\"refused\"} 0\n",
        ] {
            assert!(out.contains(line), "{line}{out}");
        }
    }
}
