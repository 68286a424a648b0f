//! The house rules that no compiler and no lint can hold, as one test that lists every offence at once.
//!
//! A rule is a pure function over one file; [`rules`] has them with a sample that each must object to.

mod codes;
mod foreign;
mod manifests;
mod rules;
mod setups;
mod tree;

use tree::{File, Tree};

/// An offence: where, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offence {
    place: String,
    advice: String,
}

impl Offence {
    fn at(file: &File, line: usize, advice: impl Into<String>) -> Self {
        Self { place: format!("{}:{line}", file.path), advice: advice.into() }
    }

    fn of(file: &File, advice: impl Into<String>) -> Self {
        Self { place: file.path.clone(), advice: advice.into() }
    }
}

#[test]
fn the_tree_keeps_the_house_rules() {
    let tree = Tree::read().unwrap();
    assert!(tree.get("Cargo.lock").is_some(), "the test was compiled in another place than it reads");
    let mut offences: Vec<Offence> = tree.files.iter().flat_map(rules::all).collect();
    offences.extend(manifests::check(&tree));
    offences.extend(codes::check(&tree));
    offences.extend(setups::check(&tree));
    offences.extend(foreign::check(&tree, &foreign::hosts_of_this_machine()));
    offences.sort();
    let list: String = offences.iter().map(|o| format!("\n  {}: {}", o.place, o.advice)).collect();
    assert!(offences.is_empty(), "{} offences:{list}\n", offences.len());
}
