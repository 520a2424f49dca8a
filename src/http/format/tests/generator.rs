//! Values as odd as users may send them, the same in every run.

use std::collections::BTreeMap;

use super::{Address, Host, HostKey, Policy, Then};

/// Characters that formats treat specially, or cannot hold.
const ODD: &[&str] = &[
    "\0",
    "\u{1}",
    "\u{8}",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{b}",
    "\u{1b}[31m",
    " ",
    "  ",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{fffe}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "\u{feff}",
    "\u{1fffe}",
    "<",
    ">",
    "&",
    "'",
    "\"",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "&amp;",
    "&#13;",
    "</name>",
    "=",
    "/",
    "~",
    "%00",
    "{\"a\":1}",
    "null",
    "true",
    "22",
    "e\u{301}",
    "日本",
    "🦀",
    "a",
    "web",
    "\\",
    "\\u0000",
];

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough for tests.
pub(super) struct Generator(pub(super) u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(super) fn text(&mut self) -> String {
        (0..self.below(6))
            .map(|_| match self.below(4) {
                0 => char::from_u32(u32::try_from(self.next() % 0x11_0000).unwrap()).unwrap_or('x').to_string(),
                _ => ODD[self.below(ODD.len())].to_owned(),
            })
            .collect()
    }

    pub(super) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(4) > 0).then(|| make(self))
    }

    pub(super) fn many<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| make(self)).collect()
    }

    fn texts(&mut self) -> BTreeMap<String, String> {
        self.many(|g| (g.text(), g.text())).into_iter().collect()
    }

    fn signed(&mut self) -> i64 {
        let shift = self.below(64);
        i64::from_ne_bytes(self.next().to_ne_bytes()) >> shift
    }

    fn policy(&mut self) -> Policy {
        [Policy::Strict, Policy::AcceptNew][self.below(2)]
    }

    fn host_key(&mut self) -> HostKey {
        HostKey { algorithm: self.text(), bits: self.next() as u32, comment: self.maybe(Self::text) }
    }

    fn then(&mut self) -> Then {
        match self.below(6) {
            0 => Then::Nothing,
            1 => Then::Run(self.text()),
            2 => Then::Webhook { url: self.text(), headers: self.texts() },
            3 => Then::Between(self.signed(), self.signed()),
            4 => Then::Maybe(None),
            _ => Then::Maybe(Some(7)),
        }
    }

    pub(super) fn host(&mut self) -> Host {
        Host {
            name: self.maybe(Self::text),
            address: self.maybe(|g| Address(format!("x{}", g.text().replace(' ', "_")))),
            port: self.maybe(|g| g.next() as u16),
            weight: self.maybe(|g| f64::from_bits(g.next())).filter(|weight| weight.is_finite()),
            offset: self.maybe(|g| g.signed() as i32),
            enabled: self.maybe(|g| g.below(2) == 0),
            policy: self.maybe(Self::policy),
            labels: self.maybe(Self::texts),
            exit_codes: self.maybe(|g| g.many(Self::signed)),
            host_key: self.maybe(Self::host_key),
            then: self.maybe(Self::then),
            keys: self.maybe(|g| g.many(Self::host_key)),
            ports: self.maybe(|g| g.many(|g| (g.next() as u16, g.many(Self::policy))).into_iter().collect()),
        }
    }
}
