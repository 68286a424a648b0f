//! Which addresses a private engine takes, so that no route of this machine is hidden.
//!
//! They come from 198.18.0.0/15, which RFC 2544 sets aside for test benches: a network that somebody really
//! uses is most unlikely there. Where it is used, the next free block is taken.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Code, Error, Result};

/// Where every block lies.
pub const RANGE: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15);

/// A /22: its first /24 is the link between this machine and the engine, the others are the engine's networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block(Ipv4Net);

impl Block {
    /// The first free one, looking from a place that the engine's name decides.
    ///
    /// # Errors
    /// [`Code::NotFit`] when routes cover the whole range.
    pub fn free(seed: u8, routes: &[Ipv4Net]) -> Result<Self> {
        let place = |i: u32| Ipv4Addr::from_bits(RANGE.network().to_bits() + ((i % 128) << 10));
        (0..128)
            .map(|i| Self(Ipv4Net::new_assert(place(u32::from(seed) + i), 22)))
            .find(|block| !routes.iter().any(|route| route.contains(&block.0) || block.0.contains(route)))
            .ok_or_else(|| {
                Error::new(
                    Code::NotFit,
                    "this machine routes all of 198.18.0.0/15, so a private engine has no addresses",
                )
                .next("use a Docker engine: --engine system")
            })
    }

    /// All of it, for the route.
    pub fn net(self) -> Ipv4Net {
        self.0
    }

    /// This machine's end of the link.
    pub fn here(self) -> Ipv4Addr {
        self.nth(1)
    }

    /// The engine's end of the link.
    pub fn there(self) -> Ipv4Addr {
        self.nth(2)
    }

    /// Where the engine takes its networks from, /24 each.
    pub fn pool(self) -> Ipv4Net {
        Ipv4Net::new_assert(self.nth(512), 23)
    }

    fn nth(self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.network().to_bits() + n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_is_routed_is_passed_over() {
        let taken: Vec<Ipv4Net> = vec!["198.18.8.0/24".parse().unwrap(), "198.18.12.0/22".parse().unwrap()];
        let block = Block::free(2, &taken).unwrap();
        assert_eq!(block.net().to_string(), "198.18.16.0/22");
        assert_eq!(block.there().to_string(), "198.18.16.2");
        assert_eq!(block.pool().to_string(), "198.18.18.0/23");
        assert_eq!(Block::free(127, &[]).unwrap().net().to_string(), "198.19.252.0/22");
        assert_eq!(Block::free(3, &["198.0.0.0/8".parse().unwrap()]).unwrap_err().code(), Code::NotFit);
    }
}
