//! The cases: each chain as it should be, and with one thing wrong in each place where it can be.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    date_time_ymd,
};

use super::forge::{KINDS, Keys, Kind, Link, chain, root};
use super::judges::Says;
use super::odd;

/// One question: does any of `roots` vouch for `leaf`?
pub struct Case {
    /// All of it, for a person.
    pub name: String,
    /// What is special about it.
    pub kind: &'static str,
    /// What we must say.
    pub expected: Says,
    pub leaf: Vec<u8>,
    pub shown: Vec<Vec<u8>>,
    pub roots: Vec<Vec<u8>>,
}

pub fn all(keys: &Keys) -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in KINDS {
        // The longest with a few only: OpenSSL takes a process for each case.
        let longest = if matches!(kind, Kind::P256 | Kind::Mixed) { 3 } else { 2 };
        for between in 0..=longest {
            cases.extend(of(keys, kind, between));
        }
    }
    cases.extend(odd::all());
    cases
}

type Change = fn(&mut CertificateParams);

fn of(keys: &Keys, kind: Kind, between: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |what: &'static str, place: usize, good: bool, ders: Ders| {
        let name = format!("{kind:?}, {between} between, {what}, in place {place}");
        let expected = if good { Says::Good } else { Says::Bad };
        let Ders { leaf, shown, roots } = ders;
        cases.push(Case { name, kind: what, expected, leaf, shown, roots });
    };
    let top = between + 1;
    let good = chain(keys, kind, between, |_, _| {});
    add("nothing is wrong", 0, true, Ders::of(&good));
    for place in 0..=top {
        for (what, fine, change) in changes(place, top) {
            let spoilt = chain(keys, kind, between, |at, params| {
                if at == place {
                    change(params);
                }
            });
            add(what, place, fine, Ders::of(&spoilt));
        }
        if place < top {
            let mut ders = Ders::of(&good);
            damage(if place == 0 { &mut ders.leaf } else { &mut ders.shown[place - 1] });
            add("a signature is damaged", place, false, ders);
        }
    }
    for (what, fine, ders) in around(keys, kind, &good) {
        add(what, top, fine, ders);
    }
    cases
}

/// What can be wrong with one certificate of a chain.
fn changes(place: usize, top: usize) -> Vec<(&'static str, bool, Change)> {
    let over: Change =
        |p| (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 1), date_time_ymd(2026, 11, 20));
    let early: Change =
        |p| (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 22), date_time_ymd(2026, 11, 30));
    let no_ca: Change = |p| {
        p.is_ca = IsCa::ExplicitNoCa;
        p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    };
    let mute: Change = |p| p.key_usages = vec![KeyUsagePurpose::CrlSign];
    let tight: Change = |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    match place {
        0 => vec![
            ("the leaf is expired", false, over),
            ("the leaf is not yet valid", false, early),
            ("the leaf is a CA", false, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            ("the leaf may sign", false, |p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            ("the leaf has no digitalSignature", false, |p| {
                p.key_usages = vec![KeyUsagePurpose::KeyEncipherment]
            }),
            ("the leaf is for clients only", false, |p| {
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            ("the leaf is for servers only", false, |p| {
                p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }),
            ("the leaf has no extended key usage", true, |p| p.extended_key_usages.clear()),
        ],
        root if root == top => vec![
            ("the root is expired", false, over),
            ("the root is not yet valid", false, early),
            ("the root is no CA", false, no_ca),
            ("the root may not sign", false, mute),
            (
                if top > 1 { "the root allows no intermediate" } else { "a path length that is kept" },
                top == 1,
                tight,
            ),
        ],
        _ => vec![
            ("an intermediate is expired", false, over),
            ("an intermediate is not yet valid", false, early),
            ("an intermediate is no CA", false, no_ca),
            ("an intermediate may not sign", false, mute),
            (
                if place > 1 { "a path length that is broken" } else { "a path length that is kept" },
                place == 1,
                tight,
            ),
        ],
    }
}

/// What can be wrong, or unusual, about what stands around a chain.
fn around(keys: &Keys, kind: Kind, good: &[Link]) -> Vec<(&'static str, bool, Ders)> {
    let over: Change =
        |p| (p.not_before, p.not_after) = (date_time_ymd(2026, 11, 1), date_time_ymd(2026, 11, 20));
    let renamed: Change = |p| p.distinguished_name.push(DnType::OrganizationName, "Renamed");
    let (top, last) = (good.len() - 1, good.last().unwrap());
    let with = |change: &dyn Fn(&mut Ders)| {
        let mut ders = Ders::of(good);
        change(&mut ders);
        ders
    };
    let impostor = root(keys, kind, &format!("{kind:?} {top}")).der;
    let other = root(keys, kind, "other");
    let old = last.again(None, over);
    let mut cases = vec![
        ("another root of the same name", false, with(&|d| d.roots = vec![impostor.clone()])),
        ("an unrelated root", false, with(&|d| d.roots = vec![other.der.clone()])),
        ("two roots of one name, the right one first", true, with(&|d| d.roots.push(impostor.clone()))),
        ("two roots of one name, the right one last", true, with(&|d| d.roots.insert(0, impostor.clone()))),
        ("a renewed root beside the old", true, with(&|d| d.roots.push(old.clone()))),
        ("a renewed root after the old", true, with(&|d| d.roots.insert(0, old.clone()))),
        ("only the old root of two", false, with(&|d| d.roots = vec![old.clone()])),
        ("the root has another name", true, with(&|d| d.roots = vec![last.again(None, renamed)])),
        ("the root is sent along", true, with(&|d| d.shown.push(last.der.clone()))),
    ];
    if top == 1 {
        return cases;
    }
    let middle = &good[top - 1];
    let (crossed, expired) = (middle.again(Some(&other), |_| {}), middle.again(Some(last), over));
    let place = top - 2;
    cases.extend([
        ("the order is turned", true, with(&|d| d.shown.reverse())),
        ("an intermediate is missing", false, with(&|d| _ = d.shown.pop())),
        ("all intermediates are missing", false, with(&|d| d.shown.clear())),
        ("the intermediate itself is the authority", true, with(&|d| d.roots = vec![middle.der.clone()])),
        ("a cross-signed intermediate, for the old root", true, with(&|d| d.shown.push(crossed.clone()))),
        (
            "a cross-signed intermediate first, for the old root",
            true,
            with(&|d| d.shown.insert(0, crossed.clone())),
        ),
        (
            "a cross-signed intermediate, for the new root",
            true,
            with(&|d| {
                d.shown.push(crossed.clone());
                d.roots = vec![other.der.clone()];
            }),
        ),
        (
            "a cross-signed intermediate first, for the new root",
            true,
            with(&|d| {
                d.shown.insert(0, crossed.clone());
                d.roots = vec![other.der.clone()];
            }),
        ),
        (
            "a cross-signed intermediate, for both roots",
            true,
            with(&|d| {
                d.shown.push(crossed.clone());
                d.roots.push(other.der.clone());
            }),
        ),
        ("a renewed intermediate beside the old", true, with(&|d| d.shown.push(expired.clone()))),
        ("a renewed intermediate after the old", true, with(&|d| d.shown.insert(0, expired.clone()))),
        ("only the old intermediate of two", false, with(&|d| d.shown[place] = expired.clone())),
        (
            "an intermediate has another name",
            true,
            with(&|d| d.shown[place] = middle.again(Some(last), renamed)),
        ),
        (
            "two intermediates sign one another",
            true,
            with(&|d| {
                d.shown.insert(0, crossed.clone());
                d.shown.insert(0, other.again(Some(middle), |_| {}));
            }),
        ),
        (
            "two intermediates sign only one another",
            false,
            with(&|d| {
                d.shown[place] = crossed.clone();
                d.shown.push(other.again(Some(middle), |_| {}));
            }),
        ),
    ]);
    // Each time an authority that allows no intermediate, and one below it that has its very name.
    let tight = |top: usize| {
        chain(keys, kind, 2, move |place, params| {
            if place == top {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            }
            if place == top || place + 1 == top {
                params.distinguished_name.push(DnType::CommonName, "one name");
            }
        })
    };
    if top == 3 {
        cases.push(("an intermediate issued itself", true, Ders::of(&tight(2))));
        cases.push(("an intermediate issued itself, and one more", false, Ders::of(&tight(3))));
    }
    cases
}

fn damage(der: &mut [u8]) {
    *der.last_mut().unwrap() ^= 1;
}

/// A leaf, what comes with it, and whom to believe.
struct Ders {
    leaf: Vec<u8>,
    shown: Vec<Vec<u8>>,
    roots: Vec<Vec<u8>>,
}

impl Ders {
    fn of(links: &[Link]) -> Self {
        let der = |link: &Link| link.der.clone();
        let top = links.len() - 1;
        Self {
            leaf: der(&links[0]),
            shown: links[1..top].iter().map(der).collect(),
            roots: vec![der(&links[top])],
        }
    }
}
