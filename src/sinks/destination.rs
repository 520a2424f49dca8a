//! Where a webhook may go: to public addresses, and to those that the operator allows.
//!
//! A URL is whoever's who may write Actions; Alf stands where it can reach more than they can. So the name is looked up once,
//! each address found is held against the tables below, and just such an address is connected to: a name that is given
//! another address meanwhile, or one written in another way, leads nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

use super::error::DeliveryError;
use super::http::shown;

/// How long looking up a name may take.
const LOOK_UP: Duration = Duration::from_secs(5);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// What is not public of IPv4 (IANA's registry of special-purpose addresses).
const NOT_PUBLIC: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    // Public by its number, and yet what tells machines of Azure about themselves.
    v4(168, 63, 129, 16, 32),
];

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// All of IPv6 that is in use in public,
const PUBLIC: Ipv6Net = v6(0x2000, 0, 3);
/// and what of it is not after all: protocol assignments with Teredo, documentation, 6to4, documentation again.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];
/// IPv4 as NAT64 shows it: public where that is.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// Where a webhook may go.
#[derive(Debug, Clone, Default)]
pub struct Destinations {
    allowed: Vec<IpNet>,
    /// Stands in for the name service.
    #[cfg(test)]
    pub(super) names: Option<tests::Names>,
}

impl Destinations {
    /// To public addresses, and to those of these networks.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            allowed,
            #[cfg(test)]
            names: None,
        }
    }

    /// All addresses of a URL's host, if each of them may be connected to; `anywhere` they may all be.
    pub(super) async fn addresses(&self, url: &Url, anywhere: bool) -> Result<Vec<SocketAddr>, DeliveryError> {
        let told = |why: &str| format!("{}: {why}", shown(url));
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(DeliveryError::permanent(told("the URL has no host")));
        };
        let found = match host {
            Host::Ipv4(ip) => vec![SocketAddr::new(ip.into(), port)],
            Host::Ipv6(ip) => vec![SocketAddr::new(ip.into(), port)],
            Host::Domain(name) => timeout(LOOK_UP, self.look_up(name, port))
                .await
                .map_err(|_| {
                    DeliveryError::temporary(told(&format!("no answer of the name service within {LOOK_UP:?}")))
                })?
                .map_err(|error| DeliveryError::temporary(told(&error.to_string())))?,
        };
        match found.iter().find(|found| !anywhere && !self.may_go(found.ip())) {
            Some(refused) => Err(DeliveryError::permanent(told(&format!(
                "{} is no public address; the webhook's allow_private or the setting actions.allow_private lets it go there",
                refused.ip()
            )))),
            None if found.is_empty() => Err(DeliveryError::temporary(told("its host has no address"))),
            None => Ok(found),
        }
    }

    async fn look_up(&self, name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        #[cfg(test)]
        if let Some(names) = &self.names {
            return Ok(names.look_up(name, port));
        }
        Ok(lookup_host((name, port)).await?.collect())
    }

    fn may_go(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.allowed.iter().any(|net| net.contains(&ip))
    }
}

/// Whether anybody may reach this address from anywhere, or nobody at all: it is none of this machine's or its network's.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) if NAT64.contains(&ip) => {
            let [.., a, b, c, d] = ip.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(ip) => PUBLIC.contains(&ip) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&ip)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Answers of a name service in their order; the last one again and again.
    #[derive(Debug, Clone)]
    pub(in crate::sinks) struct Names(Arc<Mutex<(usize, Vec<Vec<IpAddr>>)>>);

    impl Names {
        pub(in crate::sinks) fn new(answers: &[&[&str]]) -> Self {
            let answers = answers.iter().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
            Self(Arc::new(Mutex::new((0, answers))))
        }

        pub(super) fn look_up(&self, _: &str, port: u16) -> Vec<SocketAddr> {
            let mut state = self.0.lock().unwrap();
            let at = state.0.min(state.1.len() - 1);
            state.0 += 1;
            state.1[at].iter().map(|ip| SocketAddr::new(*ip, port)).collect()
        }

        pub(in crate::sinks) fn asked(&self) -> usize {
            self.0.lock().unwrap().0
        }
    }

    async fn found(destinations: &Destinations, url: &str) -> Result<Vec<SocketAddr>, DeliveryError> {
        destinations.addresses(&Url::parse(url).unwrap(), false).await
    }

    /// Ways to write an address that is this machine's own, of its network, or of the machines of a cloud.
    const SPELLINGS: [&str; 44] = [
        "http://127.0.0.1/",
        "http://127.0.0.1:8253/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.255.255.254/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0x7F.0x0.0x0.0x1/",
        "http://017700000001/",
        "http://0177.0.0.01/",
        "http://0177.0x0.0.1/",
        "http://127.0.0.1./",
        "http://%31%32%37.0.0.1/",
        "http://%6c%6f%63%61%6c%68%6f%73%74/",
        "http://①②⑦.⓪.⓪.①/",
        "http://127。0。0。1/",
        "http:\\\\127.0.0.1\\",
        "http:127.0.0.1",
        "http:///127.0.0.1/",
        "http://localhost/",
        "http://LOCALHOST/",
        "http://localhost./",
        "http://0/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::1]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::127.0.0.1]/",
        "http://[64:ff9b:1::a00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0xa9fea9fe/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.0.1/",
        "http://100.100.100.200/",
    ];

    #[tokio::test]
    async fn however_an_address_is_written_it_is_refused() {
        let destinations = Destinations::new(Vec::new());
        for url in SPELLINGS {
            let error = found(&destinations, url).await.unwrap_err();
            // Not every machine finds each way to write a name.
            let unknown = url.contains("host") || url.contains("HOST") || url.contains("%6c");
            assert!(error.message.contains("is no public address") || (unknown && error.retry), "{url}: {error:?}");
        }
        for more in ["http://168.63.129.16/", "http://192.0.0.192/", "http://255.255.255.255/", "http://[ff02::1]/"] {
            assert!(found(&destinations, more).await.is_err(), "{more}");
        }
    }

    #[tokio::test]
    async fn public_addresses_and_allowed_ones_are_gone_to() {
        let destinations = Destinations::new(Vec::new());
        for (url, address) in [
            ("http://1.1.1.1/", "1.1.1.1:80"),
            ("https://9.9.9.9/", "9.9.9.9:443"),
            ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
            ("http://[64:ff9b::101:101]/", "[64:ff9b::101:101]:80"),
        ] {
            assert_eq!(found(&destinations, url).await.unwrap(), [address.parse().unwrap()], "{url}");
        }
        let allowed = Destinations::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert!(found(&allowed, "http://127.0.0.1:1/").await.is_ok());
        assert!(found(&allowed, "http://[::ffff:127.0.0.1]/").await.is_ok(), "the same address");
        assert!(found(&allowed, "http://[fd00::1]/").await.is_ok());
        for refused in ["http://10.0.0.1/", "http://[::1]/", "http://[fe80::1]/"] {
            assert!(found(&allowed, refused).await.is_err(), "{refused}");
        }
    }

    #[tokio::test]
    async fn one_address_that_is_refused_is_enough() {
        let names = Names::new(&[&["1.1.1.1", "10.0.0.1"]]);
        let destinations = Destinations { names: Some(names), ..Destinations::default() };
        assert!(found(&destinations, "http://mixed.example/").await.unwrap_err().message.contains("10.0.0.1"));
    }
}
