//! From a leaf up to an authority: every candidate is tried, and the best way is taken.
//!
//! A certificate may have several issuers: a key renewed in place leaves the old certificate beside the new one, and
//! a cross-signed intermediate exists once for each root. So a chain is a graph, and the question is whether any way
//! through it is without a flaw. It is the shortest-path search of Dijkstra, with the number of flaws as the length:
//! each pair of certificates is looked at once, however hostile the input. Where no way is without a flaw, the one
//! with the fewest tells what is wrong.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;

use super::algorithm::Signature;
use super::{Authority, Certificate, Chain, Flaw, Path};

/// How many signatures are checked for one leaf. A real mesh needs some tens; an RSA signature takes some tens of
/// microseconds.
const MOST: usize = 2048;

/// One search. Certificates are numbered: the leaf is 0, then come the intermediates, then the authorities.
pub(super) struct Search<'c, 'a> {
    below: Vec<&'c Certificate>,
    authorities: &'a [Authority],
    /// The moment at which everything must be valid and allowed; without one, only signatures count.
    at: Option<Timestamp>,
    checked: HashMap<(usize, usize), Signature>,
    gave_up: bool,
}

/// How a certificate was reached, from the leaf's side.
#[derive(Clone, Copy)]
struct Reached {
    from: usize,
    flaws: usize,
    /// The intermediates so far, as path length constraints count them.
    length: usize,
    done: bool,
}

impl<'c, 'a> Search<'c, 'a> {
    pub(super) fn new(chain: &'c Chain, authorities: &'a [Authority], at: Option<Timestamp>) -> Self {
        // Sorted, so that the order in which they came decides nothing.
        let mut below: Vec<_> = chain.intermediates.iter().filter(|one| **one != chain.leaf).collect();
        below.sort_by_cached_key(|one| one.fingerprint());
        below.dedup();
        below.insert(0, &chain.leaf);
        Self { below, authorities, at, checked: HashMap::new(), gave_up: false }
    }

    /// The best path.
    ///
    /// # Errors
    /// The flaw of the path that has the fewest. [`Flaw::Uncheckable`] only where all that speaks against the leaf
    /// is that nobody here can check it.
    pub(super) fn run(mut self) -> Result<Path<'c, 'a>, Flaw> {
        let sure = self.reach(false);
        let best = self.best(&sure);
        let told = match best {
            Some(top) => match self.first_flaw(&sure, top) {
                None => return Ok(self.path(&sure, top)),
                flaw => flaw,
            },
            None => None,
        };
        let perhaps = self.reach(true);
        let unknown = self.best(&perhaps);
        let flawless = unknown.filter(|top| perhaps[*top].is_some_and(|reached| reached.flaws == 0));
        Err(match (flawless, told, unknown) {
            _ if self.gave_up => Flaw::TooMany { most: MOST },
            (Some(top), _, _) => self.first_unknown(&perhaps, top),
            (None, Some(flaw), _) => flaw,
            (None, None, Some(top)) => {
                self.first_flaw(&perhaps, top).unwrap_or_else(|| self.first_unknown(&perhaps, top))
            }
            (None, None, None) => self.dead_end(&perhaps),
        })
    }

    fn certificate(&self, node: usize) -> &Certificate {
        match node.checked_sub(self.below.len()) {
            None => self.below[node],
            Some(authority) => &self.authorities[authority].certificate,
        }
    }

    fn nodes(&self) -> usize {
        self.below.len() + self.authorities.len()
    }

    /// Every certificate that can be reached, each by its best way. `perhaps` also follows signatures that cannot be
    /// checked.
    fn reach(&mut self, perhaps: bool) -> Vec<Option<Reached>> {
        let mut reached: Vec<Option<Reached>> = vec![None; self.nodes()];
        let flaws = self.flaws(0, 0).len();
        reached[0] = Some(Reached { from: 0, flaws, length: 0, done: false });
        while let Some(node) = self.next(&reached) {
            let Some(here) = &mut reached[node] else { break };
            here.done = true;
            let (flaws, mut length) = (here.flaws, here.length);
            // RFC 5280, section 6.1.4 (l): what issued itself, as a key changes, does not count.
            if node != 0 && self.certificate(node).subject != self.certificate(node).issuer {
                length += 1;
            }
            let authority = node >= self.below.len();
            for issuer in (1..self.nodes()).filter(|_| !authority) {
                if reached[issuer].is_some_and(|known| known.done) || !self.signed(node, issuer, perhaps) {
                    continue;
                }
                let flaws = flaws + self.flaws(issuer, length).len();
                if reached[issuer].is_none_or(|known| (flaws, length) < (known.flaws, known.length)) {
                    reached[issuer] = Some(Reached { from: node, flaws, length, done: false });
                }
            }
        }
        reached
    }

    /// The nearest that was not yet gone on from; authorities before others, so that a good chain is soon done.
    fn next(&self, reached: &[Option<Reached>]) -> Option<usize> {
        let open = (0..reached.len()).filter(|node| reached[*node].is_some_and(|known| !known.done));
        open.min_by_key(|node| reached[*node].map(|known| (known.flaws, known.length, Reverse(*node))))
    }

    /// The authority with the best way to it; of equal ones that whose time ends last.
    fn best(&self, reached: &[Option<Reached>]) -> Option<usize> {
        let tops = (self.below.len()..self.nodes()).filter(|node| reached[*node].is_some());
        tops.min_by_key(|top| {
            let known = reached[*top].map(|known| (known.flaws, known.length));
            (known, Reverse(self.certificate(*top).not_after))
        })
    }

    fn signed(&mut self, node: usize, issuer: usize, perhaps: bool) -> bool {
        match self.signature(node, issuer) {
            Signature::Made => true,
            Signature::Unknown => perhaps,
            Signature::NotMade => false,
        }
    }

    fn signature(&mut self, node: usize, issuer: usize) -> Signature {
        if let Some(known) = self.checked.get(&(node, issuer)) {
            return *known;
        }
        // Whether an authority signed it is always asked: there are few of them, and it may be the end.
        if issuer < self.below.len() && self.checked.len() >= MOST {
            self.gave_up = true;
            return Signature::NotMade;
        }
        let found = self.certificate(node).signature_by(self.certificate(issuer));
        self.checked.insert((node, issuer), found);
        found
    }

    /// All that is wrong with one certificate in its place, with so many intermediates below it.
    fn flaws(&self, node: usize, length: usize) -> Vec<Flaw> {
        let Some(at) = self.at else { return Vec::new() };
        let certificate = self.certificate(node);
        let name = || certificate.subject.clone();
        let mut flaws = Vec::new();
        if node != 0 && !certificate.may_sign() {
            flaws.push(Flaw::IntermediateNotCa(name()));
        }
        if node != 0 && certificate.path_len.is_some_and(|most| length > most as usize) {
            flaws.push(Flaw::ChainTooLong(name()));
        }
        flaws.extend(certificate.check_time(at).err());
        // Nobody relies on the signature that an authority carries.
        flaws.extend(certificate.check_hash().err().filter(|_| node < self.below.len()));
        flaws.extend(certificate.check_key().err());
        flaws
    }

    /// From the leaf upwards, the leaf and the authority included.
    fn way(&self, reached: &[Option<Reached>], top: usize) -> Vec<usize> {
        let mut way = vec![top];
        let mut node = top;
        while let Some(known) = reached[node].filter(|_| node != 0) {
            node = known.from;
            way.push(node);
        }
        way.reverse();
        way
    }

    fn path(&self, reached: &[Option<Reached>], top: usize) -> Path<'c, 'a> {
        let way = self.way(reached, top);
        let intermediates = way[1..way.len() - 1].iter().map(|node| self.below[*node]).collect();
        Path { intermediates, authority: &self.authorities[top - self.below.len()] }
    }

    fn first_flaw(&self, reached: &[Option<Reached>], top: usize) -> Option<Flaw> {
        self.way(reached, top).into_iter().find_map(|node| {
            let length = reached[node].map_or(0, |known| known.length);
            self.flaws(node, length).into_iter().next()
        })
    }

    /// Why the first signature of the way that cannot be checked is not believed.
    fn first_unknown(&self, reached: &[Option<Reached>], top: usize) -> Flaw {
        let way = self.way(reached, top);
        let unknown = way.windows(2).find(|link| {
            self.checked.get(&(link[0], link[1])).is_some_and(|known| *known == Signature::Unknown)
        });
        let (node, issuer) = unknown.map_or((0, top), |link| (link[0], link[1]));
        let (certificate, issuer) = (self.certificate(node), self.certificate(issuer));
        // A weak one is refused whoever made it; no need to leave it open.
        match certificate.check_hash().and_then(|()| issuer.check_key()) {
            Err(weak) => weak,
            Ok(()) => certificate.uncheckable(issuer),
        }
    }

    /// Why no way leads to an authority: what is wrong with the last certificate of the longest way, for whoever is
    /// signed by another that is known is followed by that one. A lie goes before an unknown issuer.
    fn dead_end(&mut self, reached: &[Option<Reached>]) -> Flaw {
        let mut told = (false, 0, self.unsigned(0));
        for (node, known) in reached.iter().enumerate() {
            let Some(known) = known else { continue };
            let flaw = self.unsigned(node);
            let lying = matches!(flaw, Flaw::SignatureInvalid { .. });
            if (lying, known.length) >= (told.0, told.1) {
                told = (lying, known.length, flaw);
            }
        }
        told.2
    }

    /// Why nobody vouches for it: it lies about its signer, or its signer is unknown.
    fn unsigned(&mut self, node: usize) -> Flaw {
        let named = self.certificate(node).authority_key_id.clone();
        let all: Vec<_> = (1..self.nodes())
            .filter(|other| *other != node && Some(self.certificate(*other).key_name()) == named)
            .collect();
        let lies = !all.is_empty() && !all.iter().any(|other| self.signed(node, *other, true));
        if let Some(key_id) = named.clone().filter(|_| lies) {
            return Flaw::SignatureInvalid { key_id };
        }
        let issuer = self.certificate(node).issuer.clone();
        let same_name = self.authorities.iter().any(|a| a.certificate.subject == issuer);
        Flaw::UnknownIssuer { authority_key_id: named, issuer, same_name }
    }
}
