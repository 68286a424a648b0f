//! What tests share that run whole commands.

use harness::cmd::{Cmd, Output};
use harness::patience;

/// Runs `cargo xtask WORDS`, as the program that was compiled with the test.
pub async fn xtask(words: &[&str]) -> Output {
    let run = Cmd::new(env!("CARGO_BIN_EXE_xtask")).args(words.iter().copied()).limit(patience::SCENARIOS);
    run.output().await.unwrap()
}
