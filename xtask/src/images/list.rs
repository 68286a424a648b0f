//! `images list`: what the cache holds, source by source.

use harness::Result;
use harness::artifact::packages::Packages;
use harness::artifact::registry::Registry;
use harness::layout::Layout;
use harness::lock::Lock;
use serde::Serialize;

use crate::show;
use crate::show::say;

/// Tells it.
///
/// # Errors
/// As [`Registry::new`] and [`Packages::plan`].
pub fn tell(layout: &Layout, lock: &Lock, json: bool) -> Result<()> {
    let rows = rows(layout, lock)?;
    if json {
        return rows.iter().try_for_each(show::json);
    }
    for source in ["registry", "packages"] {
        let of_it: Vec<_> = rows.iter().filter(|row| row.source == source).collect();
        let held = of_it.iter().filter(|row| row.held).count();
        say!("{source}: {held} of {} held", of_it.len());
        for row in of_it {
            say!("  {:7} {:28} {}", if row.held { "held" } else { "missing" }, row.name, row.about);
        }
    }
    Ok(())
}

/// One thing that a source delivers.
#[derive(Serialize)]
struct Row {
    source: &'static str,
    name: String,
    held: bool,
    /// What it is, or what it took to make it.
    about: String,
}

fn rows(layout: &Layout, lock: &Lock) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mirrors = Default::default();
    for (name, entry) in Registry::new(lock, &mirrors, layout)?.listing() {
        let digest = entry.as_ref().and_then(|entry| entry.stamp.about["digest"].as_str());
        let about =
            digest.map_or_else(|| what(lock, name), |digest| format!("{} {digest}", what(lock, name)));
        rows.push(Row { source: "registry", name: name.to_owned(), held: entry.is_some(), about });
    }
    for planned in Packages::new(layout, lock).plan()? {
        let about =
            planned.last_seconds.map(|seconds| format!("{seconds:.0} s last time")).unwrap_or_default();
        rows.push(Row { source: "packages", name: planned.name.to_owned(), held: planned.cached, about });
    }
    Ok(rows)
}

fn what(lock: &Lock, name: &str) -> String {
    let image = lock.images.get(name).map(|pin| pin.reference.clone());
    image.or_else(|| lock.downloads.get(name).map(|d| d.version.clone())).unwrap_or_default()
}
