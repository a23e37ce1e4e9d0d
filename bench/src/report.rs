//! Figures: what is measured, how several become one, and how they are printed.

use std::time::Duration;

use serde::Serialize;

/// One run of the load driver.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub(crate) struct Figures {
    pub(crate) concurrency: usize,
    pub(crate) invocations: usize,
    pub(crate) per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// One peer at one concurrency in one round; or the medians of all its rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sample {
    pub(crate) bench: &'static str,
    pub(crate) peer: &'static str,
    /// 0 for medians.
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// CPU of the server process (of the whole peer where it serves itself) per invocation.
    pub(crate) cpu_ms: f64,
    /// The same for the model and tools, and for the client: they share the cores.
    pub(crate) world_cpu_ms: f64,
    pub(crate) client_cpu_ms: f64,
    pub(crate) rss_mb: f64,
    /// Median of append + fdatasync right before and right after.
    pub(crate) sync_us_before: f64,
    pub(crate) sync_us_after: f64,
    /// The disk was slower than twice its idle self: do not trust the times.
    pub(crate) void: bool,
}

pub(crate) fn print(line: &impl Serialize) {
    println!("{}", serde_json::to_string(line).expect("figures are plain data"));
}

pub(crate) fn figures(concurrency: usize, mut millis: Vec<f64>, took: Duration) -> Figures {
    millis.sort_by(f64::total_cmp);
    Figures {
        concurrency,
        invocations: millis.len(),
        per_s: round(millis.len() as f64 / took.as_secs_f64()),
        p50_ms: round(quantile(&millis, 0.50)),
        p99_ms: round(quantile(&millis, 0.99)),
    }
}

/// The medians of a peer's rounds at one concurrency: of the rounds that are not void, if any.
pub(crate) fn medians(samples: &[&Sample]) -> Option<Sample> {
    let valid: Vec<&Sample> = samples.iter().copied().filter(|sample| !sample.void).collect();
    let of: &[&Sample] = if valid.is_empty() { samples } else { &valid };
    let mid =
        |figure: fn(&Sample) -> f64| median(&mut of.iter().map(|s| figure(s)).collect::<Vec<_>>());
    let first = of.first()?;
    Some(Sample {
        bench: first.bench,
        peer: first.peer,
        round: 0,
        figures: Figures {
            concurrency: first.figures.concurrency,
            invocations: of.iter().map(|s| s.figures.invocations).sum(),
            per_s: mid(|s| s.figures.per_s),
            p50_ms: mid(|s| s.figures.p50_ms),
            p99_ms: mid(|s| s.figures.p99_ms),
        },
        cpu_ms: mid(|s| s.cpu_ms),
        world_cpu_ms: mid(|s| s.world_cpu_ms),
        client_cpu_ms: mid(|s| s.client_cpu_ms),
        rss_mb: mid(|s| s.rss_mb),
        sync_us_before: mid(|s| s.sync_us_before),
        sync_us_after: mid(|s| s.sync_us_after),
        void: valid.is_empty(),
    })
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    round(quantile(values, 0.5))
}

pub(crate) fn quantile(sorted: &[f64], at: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let index = ((sorted.len() as f64 * at) as usize).min(last);
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// To a thousandth: more digits say nothing.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
