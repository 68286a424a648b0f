//! What a cause is: a row of data with one pure function, which proves it, excludes it or leaves it open.

use super::objects::Scene;
use super::seen::Unread;

/// One cause.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, as `explain` and `tamper` take it.
    pub name: &'static str,
    /// What is wrong and what comes of it, in one sentence.
    pub sentence: &'static str,
    /// What to run or change next; `{cluster}`, `{peer}` and `{object}` stand for those of the evidence.
    pub next: &'static str,
    /// Where this was seen or is written.
    pub source: &'static str,
    /// What comes of it and is no cause of its own where this one is.
    pub explains: &'static [&'static str],
    /// Looks for it in one cluster.
    pub judge: Judge,
}

/// Looks for a cause in one cluster.
pub type Judge = fn(&Scene<'_>) -> Judging;
/// What such a look says, or that it could not be made.
pub type Judging = Result<Judged, Unread>;

/// What a look for a cause saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Where it was found.
    pub found: Vec<Found>,
    /// What was looked at, in words that exclude the cause when nothing was found.
    pub checked: String,
}

/// Where a cause was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The object, as people say it: `Deployment istio-test/curl`.
    pub object: String,
    /// The other cluster that it is about.
    pub peer: Option<String>,
    /// What was seen.
    pub seen: String,
}

impl Found {
    /// Something about an object.
    pub fn at(object: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { object: object.into(), peer: None, seen: seen.into() }
    }

    /// It concerns that other cluster.
    pub fn about(self, peer: Option<&str>) -> Self {
        Self { peer: peer.map(str::to_owned), ..self }
    }
}

impl Judged {
    /// A look at so many things.
    pub fn of(found: Vec<Found>, checked: impl Into<String>) -> Self {
        Self { found, checked: checked.into() }
    }
}
