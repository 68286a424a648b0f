//! `cargo xtask explain CODE`: what an error code means, without a network.

use clap::builder::PossibleValuesParser;
use harness::{Code, Error, Result};

/// Flags of `explain`.
#[derive(clap::Args)]
pub struct Args {
    /// The code, as an error prints it; all of them when left out.
    #[arg(value_parser = PossibleValuesParser::new(Code::ALL.iter().map(|code| code.name())))]
    code: Option<String>,
}

/// Prints one code's meaning, or the table of all.
///
/// # Errors
/// None in practice: an unknown code is refused by the command line's parser, with the nearest name.
pub fn run(args: &Args) -> Result<()> {
    match &args.code {
        None => Code::ALL.iter().for_each(|code| {
            println!("{:<22} exit {:>3}  {}", code.name(), code.exit(), first_sentence(*code))
        }),
        Some(name) => println!("{}", text(find(name)?)),
    }
    Ok(())
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
    fn every_exit_status_has_somebody_to_blame() {
        let ours = Code::ALL.iter().filter(|code| blame(code.exit()) == "Vouchsafe itself");
        assert_eq!(ours.map(|code| code.name()).collect::<Vec<_>>(), ["internal"]);
    }
}
