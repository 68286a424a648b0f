//! How late we notice what we wait for: from when it was so at the latest known, to when we saw it. A watch tells at once;
//! a wait that looks again and again is late by up to the time since its look before.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

static DELAYS: Mutex<Vec<Duration>> = Mutex::new(Vec::new());

/// What waits of this process were late by, each at most.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noticed {
    /// 95 of 100 were not later than this, in seconds.
    pub p95: f64,
    /// How many there were.
    pub waits: usize,
}

/// A wait saw what it waited for, that long after a look at which it was not so.
pub(crate) fn late(by: Duration) {
    DELAYS.lock().unwrap_or_else(PoisonError::into_inner).push(by);
}

/// All of this process since the last time this was asked; nothing where nothing was waited for.
pub fn noticed() -> Option<Noticed> {
    of(std::mem::take(&mut *DELAYS.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn of(mut delays: Vec<Duration>) -> Option<Noticed> {
    delays.sort();
    Some(Noticed { p95: p95(&delays)?.as_secs_f64(), waits: delays.len() })
}

/// What 95 of 100 do not exceed, by the nearest rank, of what is in order; nothing of nothing.
pub fn p95<T: Copy>(sorted: &[T]) -> Option<T> {
    sorted.get((sorted.len() * 95).div_ceil(100).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_five_may_be_later() {
        let ms = |ms: u64| Duration::from_millis(ms);
        let delays = (1..=100).map(ms).collect();
        assert_eq!(of(delays), Some(Noticed { p95: 0.095, waits: 100 }));
        assert_eq!(of(vec![ms(7)]), Some(Noticed { p95: 0.007, waits: 1 }));
        assert_eq!(of(vec![]), None);
    }
}
