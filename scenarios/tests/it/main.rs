//! Every trial as a test of its own, so that nextest runs each in a process, names it and bounds its time. Which trials
//! there are depends on the world: `VOUCHSAFE_WORLD` names one that is up, `VOUCHSAFE_CLUSTERS` has a topology as JSON.

use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let args = Arguments::from_args();
    let trials = match harness::patience::check().and_then(|()| scenarios::of_this_world()) {
        Ok(trials) => trials,
        Err(e) => {
            eprintln!("error[{}]: {e}", e.code().name());
            std::process::exit(i32::from(e.code().exit()));
        }
    };
    let test = |trial: scenarios::Trial| {
        Trial::test(trial.name.clone(), move || trial.run().map_err(|e| Failed::from(e.to_string())))
    };
    libtest_mimic::run(&args, trials.into_iter().map(test).collect()).exit();
}
