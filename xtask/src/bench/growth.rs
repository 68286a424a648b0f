//! What one cluster more costs: worlds of two clusters and more, one after the other, each from nothing to an answer of each
//! other cluster.
//!
//! What is done for each pair of clusters grows with their square; here one sees whether that weighs anything.

use std::fmt;

use harness::clock::Span;

use super::table::Conditions;

/// One world.
#[derive(Debug)]
pub struct Row {
    /// How many clusters it has.
    pub clusters: u8,
    /// What it took.
    pub span: Span,
    /// Bytes of memory that were gone when it was up.
    pub memory: f64,
}

/// All of them, the smallest first, each of one cluster more.
#[derive(Debug)]
pub struct Growth {
    /// What holds for all.
    pub conditions: Conditions,
    /// The worlds.
    pub rows: Vec<Row>,
}

impl Growth {
    /// CPU-seconds of each cluster that came to the first ones, as a share of what each of those took.
    fn shares(&self) -> Vec<f64> {
        let Some(first) = self.rows.first() else { return Vec::new() };
        let each = first.span.cpu_seconds / f64::from(first.clusters);
        self.added(|row| row.span.cpu_seconds).iter().map(|more| more / each).collect()
    }

    /// By how much each world is more than the one before it.
    fn added(&self, of: impl Fn(&Row) -> f64) -> Vec<f64> {
        self.rows.windows(2).map(|two| of(&two[1]) - of(&two[0])).collect()
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.rows.last().map_or(0, |row| row.clusters);
        writeln!(f, "Worlds that grow, by `cargo xtask bench --growth {most}`; {}", self.conditions)?;
        writeln!(
            f,
            "| clusters | ways | seconds | CPU-seconds of the machine | memory, GiB | of one cluster more |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- |")?;
        let (cpu, seconds) = (self.added(|row| row.span.cpu_seconds), self.added(|row| row.span.seconds));
        for (i, row) in self.rows.iter().enumerate() {
            let Row { clusters, span, memory } = row;
            let ways = clusters * clusters.saturating_sub(1);
            let gib = memory / f64::from(1 << 30);
            write!(f, "| {clusters} | {ways} | {:.1} | {:.0} | {gib:.1} | ", span.seconds, span.cpu_seconds)?;
            match i.checked_sub(1) {
                Some(i) => writeln!(f, "{:.1} s, {:.0} CPU-seconds |", seconds[i], cpu[i])?,
                None => writeln!(f, "|")?,
            }
        }
        let shares: Vec<_> = self.shares().iter().map(|share| format!("{share:.2}")).collect();
        writeln!(
            f,
            "\nOne cluster more takes {} times the CPU-seconds of each of the first two.",
            shares.join(", then ")
        )?;
        let all = |of: fn(&Row) -> String| self.rows.iter().map(of).collect::<Vec<_>>().join(", ");
        let (sizes, bars) =
            (all(|row| row.clusters.to_string()), all(|row| format!("{:.0}", row.span.cpu_seconds)));
        writeln!(f, "\n```mermaid\nxychart-beta\n    x-axis \"clusters\" [{sizes}]")?;
        writeln!(f, "    y-axis \"CPU-seconds\"\n    bar [{bars}]\n```")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_world_is_compared_with_the_one_before() {
        let row = |clusters, seconds, cpu_seconds| {
            let span = Span { seconds, cpu_seconds };
            Row { clusters, span, memory: f64::from(clusters) * 1.5 * f64::from(1 << 30) }
        };
        let growth = Growth {
            conditions: super::super::table::tests::conditions(),
            rows: vec![row(2, 30.0, 60.0), row(3, 45.0, 84.0), row(4, 62.0, 117.0)],
        };
        let text = growth.to_string();
        for line in [
            "by `cargo xtask bench --growth 4`; at commit abc on 2 cores",
            "| 2 | 2 | 30.0 | 60 | 3.0 | |",
            "| 3 | 6 | 45.0 | 84 | 4.5 | 15.0 s, 24 CPU-seconds |",
            "| 4 | 12 | 62.0 | 117 | 6.0 | 17.0 s, 33 CPU-seconds |",
            "takes 0.80, then 1.10 times",
            "[2, 3, 4]",
            "bar [60, 84, 117]",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
