//! Folders as people send them, through the command.

use super::*;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn judged(dir: &Path, json: bool) -> (u8, String) {
    let mut out = Vec::new();
    let ended = judge(dir, None, json, &mut out);
    let code = ended.as_ref().map_or_else(|e| e.code().exit(), |()| 0);
    let told = ended.map_or_else(|e| e.to_string(), |()| String::new());
    (code, format!("{}{told}", String::from_utf8(out).unwrap()))
}

#[test]
fn a_folder_that_cannot_be_used_is_refused() {
    let (code, told) = judged(Path::new("/no/such/folder"), false);
    assert_eq!(code, 2, "{told}");
    let dir = folder(&[]);
    let (code, told) = judged(dir.path(), false);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("there is no file in") && told.contains("judge --gather"), "{told}");
    let dir = folder(&[("ticket.yaml", b"clusters: {a: {trust-domain: x}}"), ("x.json", b"{}")]);
    let (code, told) = judged(dir.path(), false);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("ticket.yaml:1:"), "{told}");
}

#[test]
fn one_file_is_a_ticket_too() {
    let dir = folder(&[("issue.md", b"it does not work\n")]);
    let (code, told) = judged(&dir.path().join("issue.md"), false);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("  issue.md: not understood"), "{told}");
}

#[test]
fn an_archives_own_folder_is_no_cluster() {
    let dir = folder(&[("ticket-7/east/a.txt", b"x\n"), ("ticket-7/west/b.txt", b"x\n")]);
    let (_, told) = judged(dir.path(), false);
    assert!(told.contains("  east/a.txt: ") && told.contains("  west/b.txt: "), "{told}");
}

/// A person sees for each file why it is of no use, and what would be.
#[test]
fn what_is_not_understood_is_named_file_by_file() {
    let dir = folder(&[
        ("empty.json", b""),
        ("core", b"\x7fELF\0\0\0\0"),
        ("cut.json", b"{\n \"configs\": [\n"),
        ("shot.png", b"\x89PNG\r\n"),
        ("notes.md", b"it does not work\n"),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let large = std::fs::File::create(dir.path().join("large.log")).unwrap();
    large.set_len(200 << 20).unwrap();
    for json in [false, true] {
        let (code, told) = judged(dir.path(), json);
        assert_eq!(code, 4, "{told}");
        for words in [
            "it is empty",
            "binary",
            "cut off before its end",
            "a picture",
            "text without anything",
            "link",
            "it has 200 MB",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
        assert!(!told.contains("root:"), "{told}");
    }
}

#[test]
fn a_private_key_is_warned_of_and_never_told() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n";
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: cacerts}}\ndata: {{ca-key.pem: {}}}\n",
        "QUJDREVG".repeat(30)
    );
    let dir = folder(&[("a/svid.key", key.as_bytes()), ("a/secret.yaml", secret.as_bytes())]);
    let (_, told) = judged(dir.path(), false);
    assert_eq!(told.matches("WARNING: ").count(), 2, "{told}");
    assert!(told.contains("Do not send this file to anybody"), "{told}");
    assert!(!told.contains("MIGHAgEA") && !told.contains("QUJDREVG"), "{told}");
}
