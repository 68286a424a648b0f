//! What others build on: the commands as a user types them, and the script that checks a fresh machine.

// Said once more for clippy, which lets tests unwrap and does not see that all of this is one.
#[cfg(test)]
mod audit;
#[cfg(test)]
mod builds;
#[cfg(test)]
mod cells;
#[cfg(test)]
mod ci;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod own;
#[cfg(test)]
mod release;
