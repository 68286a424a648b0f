//! What one says of many numbers: their middle, their range, and how often at most something fails that was seen to fail so
//! often.

/// Of a hundred series like this one, so many have a true rate below the bound.
const CONFIDENCE: f64 = 0.95;

/// The middle one, or the mean of the two in the middle; zero of nothing.
pub fn median(all: &[f64]) -> f64 {
    let mut sorted = all.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => 0.0,
        (middle, 1) => sorted[middle],
        (middle, _) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The least and the most; nothing of nothing.
pub fn range(all: &[f64]) -> Option<(f64, f64)> {
    let wider = |(least, most): (f64, f64), one: f64| (least.min(one), most.max(one));
    let first = *all.first()?;
    Some(all.iter().copied().fold((first, first), wider))
}

/// The bound on how often a run fails, from so many failures of so many runs, and what it is called.
pub fn flake_rate(n: usize, k: usize) -> String {
    let percent = 100.0 * upper(n, k);
    let name = match k {
        0 => "exact for no failure; the rule of three says about three in the number of runs",
        _ => "Clopper and Pearson's, one-sided",
    };
    format!(
        "with {:.0} % confidence, a run is not green at most {percent:.1} % of the time ({name})",
        100.0 * CONFIDENCE
    )
}

/// Clopper and Pearson's upper bound: the rate at which so few failures, or fewer, are as rare as the confidence leaves
/// room for.
fn upper(n: usize, k: usize) -> f64 {
    if k >= n {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(n, k, middle) > 1.0 - CONFIDENCE { low = middle } else { high = middle }
    }
    high
}

/// How likely so few failures, or fewer, are at that rate.
fn at_most(n: usize, k: usize, rate: f64) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    // Logarithms, for a thousand factors below one are none.
    let (mut log, mut sum) = (number(n) * (1.0 - rate).ln(), 0.0);
    for i in 0..=k {
        sum += log.exp();
        log += (number(n - i) / number(i + 1)).ln() + rate.ln() - (1.0 - rate).ln();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert!((median(&[9.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 100.0]) - 3.0).abs() < f64::EPSILON);
        assert!(median(&[]).abs() < f64::EPSILON);
    }

    /// Tables: 3/n for none; 1 of 20 is 21.6 %, 5 of 100 is 10.2 % (one-sided 95 %).
    #[test]
    fn the_bound_is_that_of_the_tables() {
        assert!((upper(100, 0) - 0.0295).abs() < 0.0002, "{}", upper(100, 0));
        assert!((upper(20, 1) - 0.2161).abs() < 0.0002, "{}", upper(20, 1));
        assert!((upper(100, 5) - 0.1023).abs() < 0.0002, "{}", upper(100, 5));
        assert!((upper(1_000, 0) - 0.002_99).abs() < 0.0001, "{}", upper(1_000, 0));
        assert!(upper(3, 3) >= 1.0);
        assert!(flake_rate(100, 0).contains("at most 3.0 %") && flake_rate(100, 0).contains("rule of three"));
        assert!(flake_rate(20, 1).contains("at most 21.6 %") && flake_rate(20, 1).contains("Clopper"));
    }
}
