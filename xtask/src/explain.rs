//! `cargo xtask explain NAME`: what an error code or a cause means, without a network.

use clap::builder::PossibleValuesParser;
use harness::{Code, Error, Result};
use proof::diagnosis::{Rule, causes};

use crate::show::say;

/// The name of the table of causes.
const CAUSES: &str = "causes";

/// Flags of `explain`.
#[derive(clap::Args)]
pub struct Args {
    /// The code as an error prints it, or the cause as `diagnose` does; `causes` for all of those; all codes when left out.
    #[arg(value_name = "NAME", hide_possible_values = true,
        value_parser = PossibleValuesParser::new(names()))]
    name: Option<String>,
}

/// Every name that can be explained.
fn names() -> Vec<&'static str> {
    let codes = Code::ALL.iter().map(|code| code.name());
    codes.chain([CAUSES]).chain(causes().map(|rule| rule.name)).collect()
}

/// Prints one meaning, or the table of all.
///
/// # Errors
/// None in practice: an unknown code is refused by the command line's parser, with the nearest name.
pub fn run(args: &Args) -> Result<()> {
    match args.name.as_deref() {
        Some(CAUSES) => causes().for_each(|rule| say!("{:<33} {}", rule.name, rule.sentence)),
        Some(name) if causes().any(|rule| rule.name == name) => {
            causes().filter(|rule| rule.name == name).for_each(|rule| say!("{}", cause(rule)));
        }
        None => Code::ALL
            .iter()
            .for_each(|code| say!("{:<22} exit {:>3}  {}", code.name(), code.exit(), first_sentence(*code))),
        Some(name) => say!("{}", text(find(name)?)),
    }
    Ok(())
}

fn cause(rule: &Rule) -> String {
    let Rule { name, sentence, next, source, explains, .. } = rule;
    let explains = match explains.is_empty() {
        true => String::new(),
        false => format!("\n\nWhat is seen with it and comes of it: {}.", explains.join(", ")),
    };
    format!("{name}\n\n{sentence}.{explains}\n\nNext: {next}\nSource: {source}")
}

fn find(name: &str) -> Result<Code> {
    let known = Code::ALL.iter().find(|code| code.name() == name);
    known.copied().ok_or_else(|| Error::internal(format!("no code is called `{name}`")))
}

fn text(code: Code) -> String {
    format!("{}\n\n{}\n\nExit status {}: {}.", code.name(), code.explain(), code.exit(), blame(code.exit()))
}

fn first_sentence(code: Code) -> &'static str {
    let text = code.explain();
    text.split_inclusive(". ").next().unwrap_or(text).trim_end()
}

/// Who is to blame, by exit status: the words of the README's table.
fn blame(exit: u8) -> &'static str {
    match exit {
        2 => "the command line or an input file",
        3 => "this machine; nothing was made",
        4 => "the set-up; no claim was judged",
        5 => "a claim did not hold",
        6 => "something was left behind",
        7 => "time ran out",
        130 => "somebody interrupted",
        _ => "Vouchsafe itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_with_its_exit_status() {
        let text = text(find("claim-broken").unwrap());
        assert!(text.starts_with("claim-broken\n\nAt least one claim did not hold."), "{text}");
        assert!(text.ends_with("Exit status 5: a claim did not hold."), "{text}");
    }

    #[test]
    fn a_cause_is_explained_with_what_comes_of_it() {
        let rule = causes().find(|rule| rule.name == "class-filter-skips-resource").unwrap();
        let text = cause(rule);
        assert!(text.contains("comes of it: relationship-missing, peer-bundle-missing"), "{text}");
        assert!(text.contains("\nNext: kubectl patch"), "{text}");
    }

    #[test]
    fn no_cause_is_called_as_a_code() {
        let mut names = names();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }

    #[test]
    fn every_exit_status_has_somebody_to_blame() {
        let ours = Code::ALL.iter().filter(|code| blame(code.exit()) == "Vouchsafe itself");
        assert_eq!(ours.map(|code| code.name()).collect::<Vec<_>>(), ["internal"]);
    }
}
