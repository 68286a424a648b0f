//! Trust in motion: a change took no longer than its bound, and traffic noticed no more than it had to.

use serde::de::DeserializeOwned;

use super::Finding;
use crate::error::Context as _;
use crate::motion::{Answers, Bound, Flow, Stretch, Took, Window};
use crate::{Code, Result};

/// Of the requests that a rate and a time make, so many in a hundred must have been sent: fewer say nothing about the rest.
const SENT: u64 = 80;
/// How many requests say anything at all.
const LEAST: u64 = 20;

/// It took no longer than that.
///
/// # Errors
/// [`Code::Evidence`] when nobody looked.
pub fn within(bound: &Bound, seen: &str) -> Result<Finding> {
    let took: Took = read(seen, "how long it took")?;
    let in_time = took.ms.is_some_and(|ms| u128::from(ms) <= bound.length().as_millis());
    Ok(Finding::new(in_time, format!("within {bound}"), took.to_string()))
}

/// The requests were answered, but for those that had to fail.
///
/// # Errors
/// [`Code::Evidence`] when too few were sent to know.
pub fn answered(answers: &Answers, seen: &str) -> Result<Finding> {
    let flow: Flow = read(seen, "the requests")?;
    let least = (flow.ordered() * SENT / 100).max(LEAST);
    if flow.requests < least {
        let what = format!("the requests: {} were sent, and {least} at least say something", flow.requests);
        return Err(crate::evidence::missing(what));
    }
    let (expected, held) = match answers {
        Answers::All => ("every request answered".to_owned(), flow.failed == 0),
        Answers::AllMaybeBut(window) => (told("some failed at most", window), only_in(&flow, window)),
        Answers::AllBut(window) => (told("some failed", window), flow.failed > 0 && only_in(&flow, window)),
    };
    Ok(Finding::new(held, expected, flow.to_string()))
}

fn only_in(flow: &Flow, window: &Window) -> bool {
    let kept: u64 = flow.stretches.iter().map(|stretch| stretch.failed).sum();
    // What was too much to keep is known of by its number alone.
    kept == flow.failed && flow.stretches.iter().all(|stretch| is_in(stretch, window))
}

fn is_in(stretch: &Stretch, window: &Window) -> bool {
    let said =
        window.cause.is_empty() || window.cause.iter().any(|words| stretch.cause.contains(words.as_str()));
    said && stretch.from >= window.from && stretch.to <= window.to
}

fn told(what: &str, window: &Window) -> String {
    let Window { from, to, cause, because } = window;
    let cause = match cause.as_slice() {
        [] => String::new(),
        words => format!(" because of `{}`", words.join("` or `")),
    };
    format!("{what}{cause}, from {from:.1} to {to:.1} ({because}), and no others")
}

fn read<T: DeserializeOwned>(seen: &str, what: &str) -> Result<T> {
    serde_json::from_str(seen).or_fail(Code::Evidence, || format!("there is no evidence of {what}: {seen}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::motion::{Connection, Timers, informer_asks_again};
    use crate::topology::Way;

    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(1_764_171_000 + second).unwrap()
    }

    fn bound() -> Bound {
        Bound::of(Duration::from_secs(15), "until it polls") + Bound::of(Duration::from_secs(1), "and so on")
    }

    #[test]
    fn what_takes_longer_than_its_terms_is_red() {
        let judged = |took: &Took| within(&bound(), &serde_json::to_string(took).unwrap()).unwrap();
        assert!(judged(&Took::in_time(Duration::from_secs(16), "after it was prepared")).held);
        let late = judged(&Took::in_time(Duration::from_millis(16_100), "after it was prepared"));
        assert_eq!(
            (late.held, &*late.expected, &*late.observed),
            (
                false,
                "within 16.0 s = 15.0 s until it polls + 1.0 s and so on",
                "16.1 s after it was prepared"
            )
        );
        assert!(!judged(&Took::never("2 of 3 hold it")).held);
        assert_eq!(within(&bound(), "").unwrap_err().code(), Code::Evidence);
    }

    /// What a mesh takes whose timers are ten times those that it was told, judged by what it was told.
    #[test]
    fn a_timer_that_is_not_what_was_told_is_red_and_named() {
        const LIFE: Duration = Duration::from_secs(60);
        let conf = |seconds: u64| {
            let server = format!(
                r#"refresh_hint = "{}s" cache_reload_interval = "{seconds}s" ca_ttl = "{}h""#,
                seconds * 60,
                seconds
            );
            Timers::read("c", &server, &format!(r#"sync_interval = "{seconds}s""#)).unwrap()
        };
        let (told, runs) = (conf(1), conf(10));
        type Of = fn(&Timers, u32) -> Bound;
        let bounds: [(&str, Of); 9] = [
            ("until c polls (a quarter of the refresh hint", |timers, _| timers.fetched_by(timers)),
            ("no hint is stored", |timers, _| timers.fetched_after_a_failed_first_fetch(timers)),
            ("until the agent of c asks its server", |timers, _| timers.in_proxies()),
            ("reads its entries anew", |timers, _| timers.entry_noticed()),
            ("is renewed (half of its life", |timers, wrong| timers.renewed(LIFE * wrong)),
            ("is over (its life of", |_, wrong| Timers::over(LIFE * wrong)),
            ("whose server was silent for", |timers, wrong| timers.after_silence(LIFE * wrong)),
            ("five sixths of its life", |timers, _| timers.between_preparing_and_signing()),
            ("until its peer's istiod asks again", |_, wrong| {
                informer_asks_again(Duration::from_secs(2) * wrong)
            }),
        ];
        for (term, bound) in bounds {
            let judged = |took: &Bound| {
                let took = Took::in_time(took.length(), "until it was so");
                within(&bound(&told, 1), &serde_json::to_string(&took).unwrap()).unwrap()
            };
            assert!(judged(&bound(&told, 1)).held, "{term}");
            let wrong = judged(&bound(&runs, 10));
            assert!(!wrong.held && wrong.expected.contains(term), "{term}: {}", wrong.expected);
        }
    }

    fn flow(requests: u64, stretches: &[(i64, i64, u64, &str)]) -> Flow {
        let stretch = |(from, to, failed, cause): &(i64, i64, u64, &str)| Stretch {
            from: at(*from),
            to: at(*to),
            failed: *failed,
            cause: (*cause).into(),
        };
        Flow {
            way: Way { from: "a".into(), to: "b".into() },
            connection: Connection::New,
            each_second: 10,
            began: at(0),
            ended: at(100),
            requests,
            slowest_ms: 3,
            gap_ms: 100,
            failed: stretches.iter().map(|stretch| stretch.2).sum(),
            stretches: stretches.iter().map(stretch).collect(),
        }
    }

    fn holds(answers: &Answers, flow: &Flow) -> bool {
        answered(answers, &serde_json::to_string(flow).unwrap()).unwrap().held
    }

    fn window() -> Window {
        let cause = vec!["VERIFY_FAILED".to_owned()];
        Window { from: at(20), to: at(40), cause, because: "activated too soon".into() }
    }

    const INSIDE: (i64, i64, u64, &str) = (21, 39, 50, "503 CERTIFICATE_VERIFY_FAILED");

    #[test]
    fn one_failure_is_too_many_where_none_has_to_be() {
        assert!(holds(&Answers::All, &flow(1_000, &[])));
        assert!(!holds(&Answers::All, &flow(1_000, &[(50, 50, 1, "503 no healthy upstream")])));
    }

    #[test]
    fn failures_belong_into_their_window_and_have_its_cause() {
        let (must, may) = (Answers::AllBut(window()), Answers::AllMaybeBut(window()));
        for (stretches, breakage, at_most) in [
            (&[INSIDE][..], true, true),
            (&[], false, true),
            (&[INSIDE, (38, 41, 3, INSIDE.3)], false, false),
            (&[(19, 25, 3, INSIDE.3)], false, false),
            (&[INSIDE, (30, 30, 1, "503 no healthy upstream")], false, false),
        ] {
            let flow = flow(1_000, stretches);
            assert_eq!((holds(&must, &flow), holds(&may, &flow)), (breakage, at_most), "{flow}");
        }
        let mut cut = flow(1_000, &[INSIDE]);
        cut.failed += 1;
        assert!(!holds(&must, &cut), "a failure that nobody knows the time of");
    }

    #[test]
    fn a_cause_has_one_of_the_words_and_without_words_any_will_do() {
        let hung = (22, 30, 5, "0 no answer in 15 s");
        let among = |cause: &[&str]| {
            let cause = cause.iter().map(|&words| words.to_owned()).collect();
            holds(&Answers::AllBut(Window { cause, ..window() }), &flow(1_000, &[INSIDE, hung]))
        };
        assert_eq!([among(&["503"]), among(&["503", "no answer"]), among(&[])], [false, true, true]);
    }

    #[test]
    fn too_few_requests_say_nothing() {
        let judged = |flow: &Flow| answered(&Answers::All, &serde_json::to_string(flow).unwrap());
        assert_eq!(judged(&flow(799, &[])).unwrap_err().code(), Code::Evidence);
        assert!(judged(&flow(800, &[])).unwrap().held);
        let mut short = flow(19, &[]);
        short.ended = at(1);
        assert!(judged(&short).is_err());
        assert!(answered(&Answers::All, "nobody asked").is_err());
    }

    #[test]
    fn what_was_expected_is_told_to_a_stranger() {
        let finding =
            answered(&Answers::AllBut(window()), &serde_json::to_string(&flow(1_000, &[])).unwrap());
        assert_eq!(
            finding.unwrap().expected,
            "some failed because of `VERIFY_FAILED`, from 2025-11-26T15:30:20.0Z to 2025-11-26T15:30:40.0Z (activated \
             too soon), and no others"
        );
    }
}
