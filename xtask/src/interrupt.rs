//! Ctrl-C and SIGTERM, at every moment of a command: the first stops the work and lets the take-down begin, or lets it go on
//! if it has begun; the second leaves at once, and says what is left and how to take it away.
//!
//! They are heard by a thread of its own, so that no work, however busy, delays the answer.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use harness::cmd::orphans;
use harness::layout::Layout;
use harness::{Code, Error, Result, ledger};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether there is something to end in order. Before that, a signal simply ends the command.
static IN_ORDER: AtomicBool = AtomicBool::new(false);
/// Whether what is at work now may be stopped, and not only left.
static STOPPABLE: AtomicBool = AtomicBool::new(false);
/// The first signal, once there was one.
static STOP: std::sync::OnceLock<watch::Receiver<Option<&str>>> = std::sync::OnceLock::new();

/// From now on signals are heard; called once, before anything is done.
///
/// # Errors
/// [`Code::Internal`] when the kernel refuses.
pub fn listen() -> Result<()> {
    let fail = |e| Error::internal("cannot listen to signals").because(e);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(fail)?;
    let (sender, receiver) = watch::channel(None);
    let _ = STOP.set(receiver);
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(fail)?, signal(SignalKind::terminate()).map_err(fail)?)
    };
    let hear = async move {
        loop {
            let name = tokio::select! {
                _ = interrupt.recv() => "Ctrl-C",
                _ = terminate.recv() => "SIGTERM",
            };
            if !IN_ORDER.load(Ordering::SeqCst) || sender.borrow().is_some() {
                leave();
            }
            match STOPPABLE.load(Ordering::SeqCst) {
                true => eprintln!("\nstopping ({name}); once more leaves at once"),
                false => eprintln!("\nending in order already ({name}); once more leaves at once"),
            }
            let _ = sender.send(Some(name));
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned());
    thread.spawn(move || runtime.block_on(hear)).map(drop).map_err(fail)
}

/// Runs `work` until it ends or a signal comes; then the work is dropped, which kills its processes. After a signal no
/// further work is begun.
///
/// # Errors
/// [`Code::Interrupted`], or the work's own.
pub async fn or_stop<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    in_order();
    let Some(mut stop) = STOP.get().cloned() else { return work.await };
    let stopped = async { stop.wait_for(Option::is_some).await.ok().and_then(|name| *name) };
    STOPPABLE.store(true, Ordering::SeqCst);
    let ended = tokio::select! {
        biased;
        Some(name) = stopped => {
            Err(Error::new(Code::Interrupted, format!("the run was stopped by {name}")))
        }
        done = work => done,
    };
    STOPPABLE.store(false, Ordering::SeqCst);
    if ended.as_ref().is_err_and(|e| e.code() == Code::Interrupted) {
        orphans::kill_ours();
    }
    ended
}

/// From now on the first signal does not end the command: there is something that has to be ended in order.
pub fn in_order() {
    IN_ORDER.store(true, Ordering::SeqCst);
}

/// Ends the command now.
fn leave() -> ! {
    orphans::kill_ours();
    eprintln!("left at once. {}", what_is_left());
    std::process::exit(i32::from(Code::Interrupted.exit()));
}

fn what_is_left() -> String {
    match Layout::find().and_then(|layout| ledger::things(&layout.world())) {
        Ok(things) if things.is_empty() => "Nothing is left.".to_owned(),
        Ok(things) => {
            let things: Vec<_> = things.iter().map(|thing| format!("\n  left: {thing}")).collect();
            format!("{}\n  next: cargo xtask down", things.concat().trim_start())
        }
        Err(e) => format!("What is left cannot be read: {e}\n  next: cargo xtask down"),
    }
}
