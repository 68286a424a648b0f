//! Vouchsafe: an end-to-end test harness for federated service meshes.
//!
//! It brings up real clusters with SPIRE and Istio, lets workloads meet across them, and proves who issued the
//! certificates that each side saw. This crate is what does something; [`proof`] below it, which can do nothing but
//! judge, says what is due and what it came to. `xtask` owns the world, `scenarios` visit it.
//!
//! # A run, in one paragraph
//!
//! [`doctor`] judges the machine. [`artifact::source`] brings every image, tool and upstream manifest to this
//! machine. [`engine`] finds or starts a container engine, [`cluster`] makes kind clusters in it, [`component`] says
//! which steps put what into them, and [`plan`] runs those steps as wide as their needs allow. What is about to be
//! made is first written into the [`ledger`], what was made into the [`world`]. Scenarios observe ([`kube`],
//! [`spire`], [`mesh`]) and fill in [`proof::evidence`]; [`proof::verdict`] judges it. [`lifecycle`] takes it all away.
//!
//! # Where to look
//!
//! | question | module |
//! | --- | --- |
//! | which clusters, which trust domains, which way | [`proof::topology`], [`setup`] |
//! | which version of anything | [`lock`], `manifests/lock.yaml` |
//! | where does an image come from | [`artifact`] |
//! | what happens in which order, and why | [`component`], [`plan`] |
//! | where do nodes come from | [`cluster::prepared`], [`cluster::kind`] |
//! | why did it wait, and for how long may it | [`wait`], [`patience`], [`kube::conditions`] |
//! | when is a certificate good | [`proof::identity`] |
//! | what did a proxy hold, what did it use | [`proof::envoy`] |
//! | what makes a claim hold | [`proof::verdict`] |
//! | why does it not hold | [`diagnose`], [`proof::diagnosis`] |
//! | what was asked of whom | [`log`] |
//! | what is there in clusters that others made | [`existing`] |
//! | what must be taken down | [`ledger`], [`engine::sweep`] |
//! | what do users notice while a mesh changes | [`traffic`], [`proof::motion`] |
//! | is a kept world still what was made | [`attach`] |
//! | what is kept of a run, and what never is | [`kept`], [`proof::scrub`] |
//!
//! # Invariants
//!
//! 1. An issuer is a key, not a name: a leaf is judged by its signature, against the bundle that its trust domain's
//!    SPIRE server publishes now.
//! 2. Two witnesses for a handshake: both sidecars' records of that request. A dump says what a proxy holds, a
//!    record what it used.
//! 3. Every claim has a control, and every assertion has been seen red ([`tamper`]).
//! 4. No sleep outside [`wait`], no process outside [`cmd`], no YAML outside [`render`], no deadline outside
//!    [`patience`], no version outside the lock; clippy and a tidy test hold it.
//! 5. A claim is never tried again. Infrastructure is, visibly.
//! 6. "Infrastructure broke" and "the claim is false" never look alike: [`Code`] says which, and the exit status.
//! 7. Refuse before touching; write down before making; take down everything even when one thing resists.
//! 8. What judges does no I/O: [`proof`] could not if it wanted to.

pub mod artifact;
pub mod attach;
pub mod begun;
pub mod clock;
pub mod cluster;
pub mod cmd;
pub mod component;
pub mod diagnose;
pub mod doctor;
mod embedded;
pub mod engine;
pub mod existing;
pub mod history;
pub mod istiod;
pub mod kept;
pub mod kube;
pub mod last_time;
pub mod layout;
pub mod ledger;
pub mod lifecycle;
pub mod lines;
pub mod lock;
pub mod log;
pub mod mesh;
pub mod notice;
pub mod patience;
pub mod plan;
pub mod progress;
pub mod proxy;
pub mod render;
pub mod setup;
pub mod spire;
pub mod stuck;
pub mod tamper;
pub mod traffic;
pub mod wait;
pub mod world;
pub mod world_id;

pub use proof::error::{self, Code, Error, Result};
