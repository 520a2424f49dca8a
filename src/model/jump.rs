//! Jump hosts: the way to a host leads through others, has an end and is not too long.

use super::{Catalog, Host, Name};

/// Most jump hosts on the way to a host: each costs a handshake within another, and a round trip.
const MOST_JUMPS: usize = 8;

impl Catalog {
    /// Whether a host may have this jump host, whatever the one it has now; the error says in words why not.
    pub(super) fn check_jump(&self, host: &Name, jump: &Name) -> Result<(), String> {
        let way = self.way(host, Some(jump));
        if way.last() == Some(&host) {
            return Err(format!("leads back to the host itself: {}", shown(&way)));
        }
        let jumps = way.len() - 1;
        // Nobody jumps through a host that is not there yet.
        let now = self.hosts.get(host);
        let behind = match now {
            Some(now) if now.jump.as_ref() != Some(jump) => self.longest_way_to(host),
            _ => vec![host],
        };
        if jumps + behind.len() - 1 > MOST_JUMPS {
            let way: Vec<_> = behind.into_iter().chain(way.into_iter().skip(1)).collect();
            let shown = shown(&way);
            return Err(format!("makes a way through more than {MOST_JUMPS} jump hosts: {shown}"));
        }
        Ok(())
    }

    /// The way from a host, given its jump host: itself, its jump host, the jump host of that one, … It ends with the
    /// host itself where it is a loop, and after one more step than is allowed.
    fn way<'a>(&'a self, host: &'a Name, jump: Option<&'a Name>) -> Vec<&'a Name> {
        let mut way = vec![host];
        let mut next = jump;
        while let Some(jump) = next {
            way.push(jump);
            if jump == host || way.len() > MOST_JUMPS + 1 {
                break;
            }
            next = self.hosts.get(jump).and_then(|host| host.jump.as_ref());
        }
        way
    }

    /// Of the ways that lead to a host, the longest one, the host included.
    fn longest_way_to<'a>(&'a self, host: &'a Name) -> Vec<&'a Name> {
        let way_of = |other: &'a Host| {
            let mut way = self.way(&other.meta.name, other.jump.as_ref());
            let place = way.iter().position(|name| *name == host)?;
            way.truncate(place + 1);
            Some(way)
        };
        let ways = self.hosts.values().filter(|other| other.jump.is_some()).filter_map(|other| way_of(other));
        ways.max_by_key(Vec::len).unwrap_or_else(|| vec![host])
    }
}

fn shown(way: &[&Name]) -> String {
    way.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{AnyDefinition, Defaults, Definition as _, HostDocument, Secrets};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Hosts given as `a>b`: a is reached through b.
    fn catalog(hosts: &[String]) -> Catalog {
        let mut catalog = Catalog::default();
        for host in hosts {
            let (host, jump) = host.split_once('>').map_or((host.as_str(), None), |(host, jump)| (host, Some(jump)));
            let document = HostDocument { name: Some(name(host)), jump: jump.map(name), ..HostDocument::default() };
            let host = Host::check(document, &Secrets::new(), &Defaults::default()).unwrap();
            catalog.insert(AnyDefinition::Host(Arc::new(host)));
        }
        catalog
    }

    fn of(hosts: &[&str]) -> Catalog {
        catalog(&hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_loop_is_named() {
        let refused = |catalog: &Catalog, host: &str, jump: &str| catalog.check_jump(&name(host), &name(jump)).err();
        let hosts = of(&["a>b", "b>c", "c", "d>b"]);
        assert_eq!(refused(&hosts, "c", "a").unwrap(), "leads back to the host itself: c → a → b → c");
        assert_eq!(refused(&hosts, "c", "c").unwrap(), "leads back to the host itself: c → c");
        assert_eq!(refused(&hosts, "new", "new").unwrap(), "leads back to the host itself: new → new");
        assert_eq!(refused(&hosts, "c", "e"), None);
        assert_eq!(refused(&hosts, "a", "d"), None, "another way to the same end is no loop");
        assert_eq!(refused(&hosts, "a", "b"), None);
    }

    #[test]
    fn a_way_is_not_too_long_whichever_host_on_it_is_changed() {
        // h8 is reached through h7, …, h1: seven jump hosts.
        let mut hosts: Vec<String> = (2..=8).map(|n| format!("h{n}>h{}", n - 1)).collect();
        hosts.extend(["h1".to_owned(), "out>mid".to_owned(), "mid".to_owned()]);
        let hosts = catalog(&hosts);
        let check = |host: &str, jump: &str| hosts.check_jump(&name(host), &name(jump));
        assert_eq!(check("h9", "h8"), Ok(()), "eight are allowed");
        assert_eq!(check("h1", "mid"), Ok(()), "eight are allowed");
        assert_eq!(check("mid", "h7"), Ok(()), "eight are allowed");
        for (host, jump) in [("h1", "out"), ("mid", "h8")] {
            let refused = check(host, jump).unwrap_err();
            assert!(refused.contains("more than 8 jump hosts: ") && refused.contains("h8 → h7"), "{refused}");
        }
    }
}
