//! Ctrl-C: the first stops the work and lets the take-down begin; the second leaves at once, saying what is left
//! to do.

use std::future::Future;

use harness::cmd::orphans;
use harness::{Code, Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs `work` until it ends or a signal comes; then the work is dropped, which kills its processes.
///
/// # Errors
/// [`Code::Interrupted`], or the work's own.
pub async fn or_stop<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let stopped = tokio::select! {
        done = work => return done,
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
    };
    eprintln!("\nstopping ({stopped}); once more leaves at once");
    orphans::kill_ours();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
        eprintln!("left at once. next: cargo xtask down");
        orphans::kill_ours();
        std::process::exit(i32::from(Code::Interrupted.exit()));
    });
    Err(Error::new(Code::Interrupted, format!("the run was stopped by {stopped}")))
}

fn listen(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|e| Error::internal("cannot listen to signals").because(e))
}
