//! What a value must look like, one function a type: `None` means that it is not allowed.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use figment::value::Value;
use ipnet::IpNet;

use super::EmailTls;

pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

pub(super) fn boolean(value: &Value) -> Option<bool> {
    value.to_bool()
}

pub(super) fn count(value: &Value) -> Option<usize> {
    match value.to_i128() {
        Some(count) => count.try_into().ok(),
        None => value.to_u128()?.try_into().ok(),
    }
}

pub(super) fn address(value: &Value) -> Option<SocketAddr> {
    text(value)?.parse().ok()
}

/// Networks (`10.0.0.0/8`), and single addresses.
pub(super) fn networks(value: &Value) -> Option<Vec<IpNet>> {
    let network = |value: &Value| {
        let text = text(value)?;
        text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)))
    };
    value.as_array()?.iter().map(network).collect()
}

/// The name or the address of a server, without a port.
pub(super) fn host(value: &Value) -> Option<String> {
    let host = text(value)?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name = (1..=253).contains(&host.len()) && host.chars().all(legal);
    (name || host.parse::<IpAddr>().is_ok()).then(|| host.to_owned())
}

pub(super) fn port(value: &Value) -> Option<u16> {
    u16::try_from(count(value)?).ok().filter(|port| *port > 0)
}

pub(super) fn email_tls(value: &Value) -> Option<EmailTls> {
    match text(value)? {
        "required" => Some(EmailTls::Required),
        "optional" => Some(EmailTls::Optional),
        "implicit" => Some(EmailTls::Implicit),
        "none" => Some(EmailTls::None),
        _ => None,
    }
}

/// What looks like an address of e-mail; that it is one shows when it is used.
pub(super) fn mailbox(value: &Value) -> Option<String> {
    let mailbox = text(value)?;
    let (name, domain) = mailbox.rsplit_once('@')?;
    let fits = !name.is_empty() && !domain.is_empty() && mailbox.len() <= 512;
    (fits && !mailbox.chars().any(char::is_control)).then(|| mailbox.to_owned())
}

pub(super) fn timezone(value: &Value) -> Option<String> {
    let zone: chrono_tz::Tz = text(value)?.parse().ok()?;
    Some(zone.name().to_owned())
}

pub(super) fn user(value: &Value) -> Option<String> {
    let user = text(value)?;
    let fits = (1..=256).contains(&user.len());
    let plain = !user.chars().any(|c| c.is_whitespace() || c.is_control());
    (fits && plain).then(|| user.to_owned())
}

/// A name as nouns have it: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`.
pub(super) fn name(value: &Value) -> Option<String> {
    let name = text(value)?;
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fits = name.len() <= 128 && name.chars().all(in_name);
    (starts && fits).then(|| name.to_owned())
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// The nearest name to a host name, which may hold anything; `alf` if nothing of it is left.
pub(super) fn name_from(host: &str) -> String {
    let name: String = host
        .trim()
        .chars()
        .map(|c| if in_name(c) { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(128)
        .collect();
    match name.trim_end_matches('-') {
        "" => "alf".to_owned(),
        name => name.to_owned(),
    }
}

/// A path whose leading `~/` is not expanded yet. Refused are `~user`, which would silently be a directory of that
/// name, and U+FFFD, which stands for bytes that were not UTF-8: it would be another path than the one meant.
pub(super) fn path(value: &Value) -> Option<String> {
    let path = text(value)?;
    let home = path == "~" || path.starts_with("~/");
    let usable = !path.is_empty() && !path.contains(['\0', '\u{fffd}']);
    let usable = usable && (home || !path.starts_with('~'));
    usable.then(|| path.to_owned())
}

pub(super) fn paths(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(path).collect()
}

/// Bytes: an integer, or text with an optional binary unit.
pub(super) fn bytes(value: &Value) -> Option<usize> {
    let Some(text) = text(value) else {
        return count(value);
    };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let shift = match unit.trim_start() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// A limit in time: a duration, or `none`.
pub(super) fn limit(value: &Value) -> Option<Option<Duration>> {
    if value.as_str() == Some("none") { Some(None) } else { duration(value).map(Some) }
}

/// A duration: numbers with the units `d`, `h`, `m`, `s`, `ms`, the larger first and each at most once.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    let mut rest = text(value)?;
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let milliseconds = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        if milliseconds >= last_unit {
            return None;
        }
        last_unit = milliseconds;
        let part = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
        total = total.checked_add(Duration::from_millis(part))?;
        rest = after;
    }
    (last_unit != u64::MAX).then_some(total)
}

/// The value as TOML. Texts are written as JSON's are, which TOML's basic strings are a superset of but for DEL.
pub(super) fn toml(value: &Value) -> String {
    match value {
        Value::Array(_, items) => {
            let items: Vec<_> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        value => serde_json::to_string(value).unwrap_or_default().replace('\u{7f}', "\\u007f"),
    }
}

/// The value as a message shows it: one line of bounded length.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    if value.as_dict().is_some() {
        return "(a table)".to_owned();
    }
    let text = toml(value);
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        match c {
            // What is special in ASCII is escaped already.
            ' '..='~' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}
