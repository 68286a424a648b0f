//! What compilers find around them: nothing that changes what they make.
//!
//! An artifact's key is of its inputs, and the environment is none of them. A shell that cross-compiles (`GOARCH=arm64`),
//! asks for a newer processor (`GOAMD64=v4`) or names a compiler that is not there (`CC=clang`) would leave programs in
//! the cache that fail in every later, clean shell. What says how a registry is reached is the machine's and stays:
//! proxies, `GOPROXY` and its kin, `CARGO_HOME`, pip's and apt's settings.

use std::ffi::OsString;

use crate::cmd::Cmd;

/// Of Go (`go help environment`), of cgo's C compiler, of the compiler itself (gcc(1), "Environment Variables"), of
/// cargo and rustc (The Cargo Book, "Environment Variables").
const NAMES: [&str; 33] = [
    "AR",
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CC",
    "CFLAGS",
    "COMPILER_PATH",
    "CPATH",
    "CPPFLAGS",
    "CXX",
    "CXXFLAGS",
    "C_INCLUDE_PATH",
    "GCC_EXEC_PREFIX",
    "GO111MODULE",
    "GOAMD64",
    "GOARCH",
    "GOBIN",
    "GOCACHEPROG",
    "GODEBUG",
    "GOEXPERIMENT",
    "GOFIPS140",
    "GOOS",
    "GO_EXTLINK_ENABLED",
    "LDFLAGS",
    "LD_RUN_PATH",
    "LIBRARY_PATH",
    "PKG_CONFIG",
    "PKG_CONFIG_LIBDIR",
    "PKG_CONFIG_PATH",
    "PKG_CONFIG_SYSROOT_DIR",
    "RUSTC",
    "RUSTFLAGS",
];
const FAMILIES: [&str; 3] = ["CARGO_PROFILE_", "CARGO_TARGET_X86_64_", "CGO_"];

/// The same command, in an environment that every machine has. What the command itself sets stays.
pub fn neutral(cmd: Cmd) -> Cmd {
    let shaping = std::env::vars_os().map(|(name, _)| name).filter(shapes_a_build);
    shaping.fold(cmd, Cmd::env_remove)
}

fn shapes_a_build(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    NAMES.contains(&&*name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: [(&str, &str); 8] = [
        ("GOARCH", "arm64"),
        ("GOAMD64", "v4"),
        ("CC", "clang"),
        ("CGO_CFLAGS", "-march=native"),
        ("CARGO_ENCODED_RUSTFLAGS", "-Cpanic=abort"),
        ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER", "mold"),
        ("GOPROXY", "https://modules.test"),
        ("HTTPS_PROXY", "http://proxy.test:3128"),
    ];

    /// An environment cannot be changed safely in here, so the other test runs this one in a process of its own.
    #[tokio::test]
    #[ignore = "asked by the test beside it"]
    async fn says_what_a_compiler_sees() {
        let seen = neutral(Cmd::new("env")).env("CGO_ENABLED", "1").run().await.unwrap().stdout;
        println!("{seen}");
    }

    #[tokio::test]
    async fn what_changes_a_build_is_hidden_and_the_way_to_a_registry_is_not() {
        let asked = Cmd::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--nocapture", "--exact"])
            .arg("artifact::packages::compilers::tests::says_what_a_compiler_sees");
        let seen = SET.iter().fold(asked, |asked, (name, value)| asked.env(name, value));
        let seen = seen.run().await.unwrap().stdout;
        let has = |name: &str| seen.lines().any(|line| line.starts_with(&format!("{name}=")));
        for (name, _) in &SET[..6] {
            assert!(!has(name), "{name} is handed on:\n{seen}");
        }
        assert!(has("GOPROXY") && has("HTTPS_PROXY") && has("CGO_ENABLED") && has("PATH"), "{seen}");
    }
}
