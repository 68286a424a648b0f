//! How long each piece of work took the time before, for those who watch: a run is not worse for not knowing it.

use std::collections::BTreeMap;

use crate::layout::Layout;

/// By the id of the work, in seconds.
pub fn read(layout: &Layout) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(file(layout)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// From now on these took so long; what is known of others stays.
pub fn remember(layout: &Layout, took: impl IntoIterator<Item = (String, f64)>) {
    let mut all = read(layout);
    all.extend(took);
    if let Ok(text) = serde_json::to_string(&all) {
        let _ = std::fs::write(file(layout), text);
    }
}

fn file(layout: &Layout) -> std::path::PathBuf {
    layout.cache.join("last-time.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_others_stays() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout { cache: dir.path().into(), repo: dir.path().into() };
        assert_eq!(read(&layout), BTreeMap::new());
        remember(&layout, [("a".to_owned(), 1.0), ("b".to_owned(), 2.0)]);
        remember(&layout, [("b".to_owned(), 3.0)]);
        assert_eq!(read(&layout), [("a".to_owned(), 1.0), ("b".to_owned(), 3.0)].into());
    }
}
