//! Each cause provoked for real in a world that is up, named, and put back: exactly that one, twice in a row, with the others
//! excluded. A world before a fault, and after each, has none. Slow, so run on demand, while no world is up.
//!
//! `cargo test -p xtask --test diagnose -- --ignored --nocapture`
#![expect(clippy::unwrap_used, reason = "a failed step of a test is a failed test")]

mod common;

use std::time::Instant;

use harness::layout::Layout;
use harness::progress::Note;
use harness::tamper::causes;
use harness::wait::{self, Look};
use harness::world::World;
use harness::{diagnose, patience};
use proof::diagnosis::Diagnosis;

use common::xtask;

/// What came of one fault.
struct Row {
    fault: &'static str,
    named: Vec<&'static str>,
    seconds: u64,
    consequences: usize,
    open: usize,
    /// What was still named after it was put back.
    left: Vec<&'static str>,
}

#[tokio::test]
#[ignore = "takes some minutes; no world may be up"]
async fn every_cause_is_named() {
    assert_eq!(xtask(&["up"]).await.status, 0);
    let world = World::read(&Layout::find().unwrap()).unwrap();
    let mut rows = vec![];
    let healthy = until(&world, &[]).await;
    for fault in causes::names() {
        let began = Instant::now();
        let provoked = Box::pin(causes::provoke(&world, fault, &Note::silent())).await.unwrap();
        let seen = until(&world, &[fault]).await;
        let seconds = began.elapsed().as_secs();
        Box::pin(provoked.put_back(&Note::silent())).await.unwrap();
        let left = named(&until(&world, &[]).await);
        let (consequences, open) = (seen.consequences.len(), seen.open.len());
        let row = Row { fault, named: named(&seen), seconds, consequences, open, left };
        println!("{}", row.told());
        rows.push(row);
    }
    assert_eq!(xtask(&["down"]).await.status, 0);
    let right = rows.iter().filter(|row| row.named.contains(&row.fault)).count();
    let told: usize = rows.iter().map(|row| row.named.len()).sum();
    println!(
        "named {right} of {} faults (recall); {right} of {told} causes named were so (precision)",
        rows.len()
    );
    assert_eq!(named(&healthy), Vec::<&str>::new());
    let wrong: Vec<_> = rows.iter().filter(|row| row.named != [row.fault] || !row.left.is_empty()).collect();
    assert!(wrong.is_empty(), "{}", wrong.iter().map(|row| row.told()).collect::<Vec<_>>().join("\n"));
}

impl Row {
    fn told(&self) -> String {
        let Self { fault, named, seconds, consequences, open, left } = self;
        format!(
            "{fault:33} named {named:?} after {seconds:3} s, {consequences} consequences, {open} open, left {left:?}"
        )
    }
}

/// Looks until exactly these causes are named twice in a row; the last diagnosis when that does not come.
async fn until(world: &World, wanted: &[&str]) -> Diagnosis {
    let kubeconfigs: Vec<_> = world.sites.values().map(|site| site.kubeconfig.clone()).collect();
    let (last, times) = (std::cell::RefCell::new(Diagnosis::default()), std::cell::Cell::new(0));
    let (last_of, times_of, kubeconfigs) = (&last, &times, &kubeconfigs);
    let note = Note::silent();
    let waited = wait::eventually("a diagnosis", patience::CAUGHT_UP, &note, || async move {
        let (observed, _) = Box::pin(diagnose::observe(kubeconfigs, Vec::new())).await;
        let now = proof::diagnosis::diagnose(&observed);
        let right = named(&now) == wanted;
        times_of.set(if right { times_of.get() + 1 } else { 0 });
        let told = format!("{:?}", named(&now));
        last_of.replace(now);
        if times_of.get() == 2 { Look::Ready(()) } else { Look::NotYet(told) }
    });
    if let Err(e) = waited.await {
        println!("{e}\n{:#?}", last.borrow().causes);
    }
    last.into_inner()
}

fn named(diagnosis: &Diagnosis) -> Vec<&'static str> {
    diagnosis.causes.iter().map(|cause| cause.name).collect()
}
