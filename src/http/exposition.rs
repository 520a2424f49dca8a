//! The text format that Prometheus reads, version 0.0.4: families of samples, each with its HELP and TYPE.

use std::fmt::{Display, Write as _};

use crate::actors::handle::Histogram;

/// Its media type.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels and their values.
type Labels<'a> = &'a [(&'a str, &'a str)];

/// What is being written.
#[derive(Debug, Default)]
pub struct Exposition(String);

/// A family whose samples follow.
pub struct Family<'a> {
    name: &'static str,
    out: &'a mut String,
}

impl Exposition {
    /// What goes up and down.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// What only goes up, from the start of the process on.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// How long things took.
    pub fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) {
        let family = self.family(name, "histogram", help);
        let mut all = 0;
        for (bound, count) in histogram.buckets() {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            sample(family.out, &format!("{name}_bucket"), &[("le", &bound)], count);
            all = count;
        }
        sample(family.out, &format!("{name}_sum"), &[], histogram.sum());
        sample(family.out, &format!("{name}_count"), &[], all);
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.0
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // Writing to a text does not fail.
        let _ = writeln!(self.0, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, false));
        Family { name, out: &mut self.0 }
    }
}

impl Family<'_> {
    /// Its only sample.
    pub fn is(mut self, value: impl Display) {
        self.of(&[], value);
    }

    /// One of its samples.
    pub fn of(&mut self, labels: Labels<'_>, value: impl Display) -> &mut Self {
        sample(self.out, self.name, labels, value);
        self
    }
}

fn sample(out: &mut String, name: &str, labels: Labels<'_>, value: impl Display) {
    out.push_str(name);
    for (at, (label, text)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{label}=\"{}\"", if at == 0 { '{' } else { ',' }, escaped(text, true));
    }
    let _ = writeln!(out, "{} {value}", if labels.is_empty() { "" } else { "}" });
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut out = Exposition::default();
        out.gauge("a_bytes", "How \"much\",\nand \\ more.").is(1.5);
        out.counter("b_total", "Bs.").of(&[("x", "\"1\"\n"), ("y", "\\")], 3).of(&[], 0);
        let histogram = Histogram::new(&[0.005, 1.0]);
        histogram.observe(Duration::from_millis(250));
        histogram.observe(Duration::from_secs(2));
        out.histogram("c_seconds", "Cs.", &histogram);
        let expected = "# HELP a_bytes How \"much\",\\nand \\\\ more.\n# TYPE a_bytes gauge\na_bytes 1.5\n\
            # HELP b_total Bs.\n# TYPE b_total counter\nb_total{x=\"\\\"1\\\"\\n\",y=\"\\\\\"} 3\nb_total 0\n\
            # HELP c_seconds Cs.\n# TYPE c_seconds histogram\n\
            c_seconds_bucket{le=\"0.005\"} 0\nc_seconds_bucket{le=\"1\"} 1\nc_seconds_bucket{le=\"+Inf\"} 2\n\
            c_seconds_sum 2.25\nc_seconds_count 2\n";
        assert_eq!(out.into_text(), expected);
    }
}
