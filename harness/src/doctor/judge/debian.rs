//! The one release of Debian that packages come from, on whatever Debian-like system this is.

use super::{Check, Finding, sudo};
use crate::artifact::packages::debian::KEYRING;
use crate::doctor::measured::{Debian, Measured};

/// What stands for a mirror in the line to paste, on a machine that knows none: which one is near is for its owner to say.
const ANY_MIRROR: &str = "<a mirror of https://www.debian.org/mirror/list>";

/// Whether apt can get packages of the pinned release; a failure if not.
pub fn release(m: &Measured) -> Option<Finding> {
    let Debian { release, configured, mirror, system, keyring, .. } = m.debian.as_ref()?;
    let system = system.as_deref().unwrap_or("this system");
    let sudo = sudo(m);
    let keys =
        if *keyring { String::new() } else { format!("{sudo}apt-get install -y debian-archive-keyring && ") };
    let needed = format!("a source for {release}, and Debian's keys");
    let check = |seen: &str| Check::new("apt-release", format!("{system}: {seen}"), needed);
    if !configured {
        let uri = mirror.as_deref().unwrap_or(ANY_MIRROR);
        // With a priority below zero the system itself never takes a package from there.
        let cure = format!(
            "{keys}echo 'deb [signed-by={KEYRING}] {uri} {release} main' | {sudo}tee /etc/apt/sources.list.d/{release}.list && \
             printf 'Package: *\\nPin: release n={release}\\nPin-Priority: -1\\n' | {sudo}tee /etc/apt/preferences.d/{release} && \
             {sudo}apt-get update"
        );
        return Some(
            check("no source").fail(format!("apt here has no {release}, whose packages are unpacked"), cure),
        );
    }
    // A Debian has them by itself, in one place or another.
    if !keyring && mirror.is_none() {
        let cure = format!("{sudo}apt-get install -y debian-archive-keyring");
        return Some(
            check("no keys").fail(format!("apt here has {release} and not the keys that sign it"), cure),
        );
    }
    Some(check("a source").ok(format!("apt has {release}; its packages are unpacked, not installed")))
}

#[cfg(test)]
mod tests {
    use super::super::fit::machine;
    use crate::doctor::Level::{Fail, Ok};

    use super::*;

    fn on(change: impl FnOnce(&mut Debian)) -> Finding {
        let mut m = machine();
        m.rights.root = false;
        change(m.debian.as_mut().unwrap());
        release(&m).unwrap()
    }

    #[test]
    fn another_debian_is_told_the_line_with_its_own_mirror() {
        let finding = on(|d| {
            (d.configured, d.system) = (false, Some("Debian GNU/Linux 13 (trixie)".into()));
        });
        assert_eq!((finding.level, &*finding.measured), (Fail, "Debian GNU/Linux 13 (trixie): no source"));
        let cure = finding.cure.unwrap();
        assert!(
            cure.starts_with(&format!(
                "echo 'deb [signed-by={KEYRING}] http://mirror.test/debian/ bookworm main' |"
            )),
            "{cure}"
        );
        assert_eq!(cure.matches("sudo ").count(), 3, "{cure}");
        assert!(cure.contains("Pin: release n=bookworm\\nPin-Priority: -1"), "{cure}");
    }

    #[test]
    fn an_ubuntu_is_told_to_get_debians_keys_first() {
        let ubuntu = |d: &mut Debian| {
            (d.keyring, d.mirror, d.system) = (false, None, Some("Ubuntu 24.04.1 LTS".into()));
        };
        let cure = on(|d| {
            ubuntu(d);
            d.configured = false;
        })
        .cure
        .unwrap();
        assert!(
            cure.starts_with("sudo apt-get install -y debian-archive-keyring && echo 'deb [signed-by="),
            "{cure}"
        );
        assert!(cure.contains(&format!("{ANY_MIRROR} bookworm main")), "{cure}");
        let finding = on(ubuntu);
        assert_eq!((finding.level, &*finding.measured), (Fail, "Ubuntu 24.04.1 LTS: no keys"));
        assert_eq!(on(|d| d.keyring = false).level, Ok, "a Debian has them elsewhere");
    }
}
