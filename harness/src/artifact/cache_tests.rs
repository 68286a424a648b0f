//! Keys follow the inputs; what is half-written or damaged is never found.

use super::*;

fn inputs(pin: &str) -> Inputs {
    Inputs::default().with("pin", pin)
}

fn make(cache: &Cache, pin: &str) -> Cached {
    let draft = cache.begin("thing", inputs(pin)).unwrap();
    std::fs::create_dir(draft.dir.join("bin")).unwrap();
    std::fs::write(draft.dir.join("bin/thing"), pin).unwrap();
    draft.finish(Duration::from_secs(3), Value::Null).unwrap()
}

#[test]
fn the_key_depends_on_every_label_and_value_and_on_nothing_else() {
    let base = Inputs::default().with("a", "1").with("b", "2");
    assert_eq!(base.key(), Inputs::default().with("b", "2").with("a", "1").key());
    assert_ne!(base.key(), Inputs::default().with("a", "2").with("b", "1").key());
    assert_ne!(base.key(), base.clone().with("c", "").key());
}

#[test]
fn a_finished_artifact_is_found_under_its_own_inputs_only() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let made = make(&cache, "v1");
    let found = cache.find("thing", &inputs("v1")).unwrap();
    assert_eq!(std::fs::read_to_string(found.dir.join("bin/thing")).unwrap(), "v1");
    assert_eq!(found.dir, made.dir);
    assert!(cache.find("thing", &inputs("v2")).is_none());
    assert_eq!(cache.last_seconds("thing"), Some(3.0));
    assert_eq!(cache.last_seconds("other"), None);
}

#[test]
fn half_of_an_artifact_is_never_seen() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let draft = cache.begin("thing", inputs("v1")).unwrap();
    std::fs::write(draft.dir.join("half"), "half").unwrap();
    drop(draft);
    assert!(cache.find("thing", &inputs("v1")).is_none());
    let again = make(&cache, "v1");
    assert!(!again.dir.join("half").exists(), "the rest of the interrupted build got in");
}

#[test]
fn a_damaged_artifact_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    for damage in [
        |at: &Path| std::fs::write(at.join(STAMP), "{\"name\":"),
        |at: &Path| std::fs::write(at.join("bin/thing"), "longer than it was"),
        |at: &Path| std::fs::remove_file(at.join("bin/thing")),
    ] {
        let made = make(&cache, "v1");
        damage(&made.dir).unwrap();
        assert!(cache.find("thing", &inputs("v1")).is_none());
    }
    make(&cache, "v1");
    assert!(cache.find("thing", &inputs("v1")).is_some());
}

#[test]
fn a_flipped_bit_is_noticed_when_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let file = make(&cache, "v1").dir.join("bin/thing");
    std::fs::write(&file, "v0").unwrap();
    assert!(cache.find("thing", &inputs("v1")).is_none());
    assert!(cache.is_damaged("thing", &inputs("v1")) && !cache.is_damaged("thing", &inputs("v2")));
    // Data that became a program.
    let file = make(&cache, "v1").dir.join("bin/thing");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(cache.find("thing", &inputs("v1")).is_none());
}

/// The disk returns other bytes than were written, and the file system knows nothing of it: who reads it all sees it.
#[test]
fn a_bit_that_flipped_by_itself_is_found_by_reading_everything() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let file = make(&cache, "v1").dir.join("bin/thing");
    let written = file.metadata().unwrap().modified().unwrap();
    std::fs::write(&file, "v0").unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    assert!(cache.find("thing", &inputs("v1")).is_some(), "nothing tells it apart");
    let damaged: Vec<_> = cache.damage().into_iter().map(|entry| entry.stamp.name).collect();
    assert_eq!(damaged, ["thing"]);
}

#[test]
fn the_same_bytes_in_another_file_are_as_good() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let made = make(&cache, "v1");
    let (file, copy) = (made.dir.join("bin/thing"), dir.path().join("copy"));
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    let again = cache.find("thing", &inputs("v1")).unwrap();
    assert_ne!(again.stamp.print, made.stamp.print, "the next look is a quick one");
    assert_eq!(cache.find("thing", &inputs("v1")).unwrap().stamp.print, again.stamp.print);
    assert!(cache.damage().is_empty());
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_says_so_with_the_cure() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let e = Cache::new(file.join("artifacts")).claim("thing", &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::CacheUnusable);
    assert!(e.advice().unwrap().contains("VOUCHSAFE_CACHE"), "{e}");
}

#[tokio::test]
async fn only_one_at_a_time_makes_an_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let silent = Note::silent();
    let first = cache.claim("thing", &silent).await.unwrap();
    let note = Note::silent();
    let second = cache.claim("thing", &note);
    tokio::pin!(second);
    let early = wait::glance(Duration::from_millis(100), &mut second).await;
    assert!(early.is_none(), "two builds of one artifact at once");
    let holder = format!("the lock of thing: process {} has it, in ", std::process::id());
    assert!(note.last().unwrap().starts_with(&holder), "{:?}", note.last());
    drop(first);
    second.await.unwrap();
}

/// A lock that nobody lets go of: the wait has an end, and names who has it.
#[tokio::test(start_paused = true)]
async fn a_claim_that_never_comes_ends_with_the_name_of_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(dir.path());
    let _first = cache.claim("thing", &Note::silent()).await.unwrap();
    let e = cache.claim("thing", &Note::silent()).await.unwrap_err();
    assert_eq!(e.code(), Code::TimedOut);
    assert!(e.to_string().contains(&format!("last seen: process {} has it", std::process::id())), "{e}");
}
