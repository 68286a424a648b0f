//! Algorithms that ring does not sign with: what OpenSSL made for the unit tests of the proof.

use super::corpus::Case;
use super::judges::Says;

/// A case for each file; one that is not known here is a mistake.
pub fn all() -> Vec<Case> {
    let folders = ["odd", "above"];
    let folders =
        folders.map(|name| format!("{}/proof/src/identity/testdata/{name}", env!("CARGO_MANIFEST_DIR")));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let case = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let ders = x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()).map(|pem| pem.unwrap().contents);
        let mut shown: Vec<_> = ders.collect();
        let (leaf, roots) = (shown.remove(0), vec![shown.pop().unwrap()]);
        let (kind, expected) = match path.file_stem().unwrap().to_str().unwrap() {
            "endless" | "p384-sha256" | "p384-sha384" | "pss-sha256" | "pss-sha384" | "pss-sha512" => {
                ("an algorithm that everybody knows", Says::Good)
            }
            "rsa-sha1-root" => ("a root that signed itself with SHA-1", Says::Good),
            "rsa-sha1" | "ecdsa-sha1" | "pss-sha1" => ("a signature with SHA-1", Says::Bad),
            "rsa-md5" => ("a signature with MD5", Says::Bad),
            "rsa1024" => ("a short RSA key", Says::Bad),
            "p521" | "p384-sha512" | "ed448" | "secp256k1" => {
                ("an algorithm that ring does not know", Says::Unknown)
            }
            "compressed" => ("a compressed key", Says::Unknown),
            "pss-salt20" | "pss-mgf" => ("unusual PSS parameters", Says::Unknown),
            "rsa-exponent" => ("a large RSA exponent", Says::Unknown),
            other => panic!("say here what {other} is"),
        };
        let name = format!("{}, {kind}", path.display());
        Case { name, kind, expected, leaf, shown, roots }
    };
    files.iter().map(case).collect()
}
