//! `alf key create`: a new key, shown once.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::client::Body;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::key_args::KeyCreateArgs;
use super::nouns;
use super::session::Session;
use super::text::escaped;

use crate::handover::{self, NewKey};
use crate::model::{
    Defaults, Definition as _, Key, KeyDigest, KeyDocument, Name, Noun, Secrets, Span, Timestamp, new_key,
};

/// How long a service that runs may take to take up a key that was handed over.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);

pub(super) async fn run(args: KeyCreateArgs, session: &mut Session) -> Result<Exit, CliError> {
    let expires_at = args.expires.as_deref().map(|text| end(text, session.now)).transpose()?;
    let name = match args.named.clone().or(args.name.clone()) {
        Some(name) => name,
        None => Name::parse(&session.now.format("offline-%Y%m%d-%H%M%S").to_string())
            .map_err(|error| CliError::Usage(error.to_string()))?,
    };
    if args.offline {
        return offline(&args, name, expires_at, session).await;
    }
    let exec = args.exec.then_some(Doc::Bool(true));
    let text = |text: Option<String>| text.map(|text| text.as_str().into());
    let key = Doc::map([
        ("name", Some(name.as_str().into())),
        ("role", text(Some(args.role.to_string()))),
        ("exec", exec),
        ("selector", text(args.selector.map(|selector| selector.to_string()))),
        ("expires_at", text(expires_at.map(|end| end.to_string()))),
    ]);
    let client = session.client().await?;
    nouns::create_one(Noun::Key, &Body::Json(key), &client, session).await?;
    session.output.note("this is the only time it is shown: only a hash of it is kept");
    Ok(Exit::Ok)
}

/// Hands a key to the service of this machine. It is shown before the service has it: nothing keeps it from that.
async fn offline(
    args: &KeyCreateArgs,
    name: Name,
    expires_at: Option<Timestamp>,
    session: &mut Session,
) -> Result<Exit, CliError> {
    let Some(data_dir) = session.data_dir().map(Path::to_owned) else {
        return Err(CliError::Usage("--offline needs the data directory of the service: --data-dir DIR".to_owned()));
    };
    let document = KeyDocument {
        name: Some(name.clone()),
        role: Some(args.role),
        exec: args.exec.then_some(true),
        selector: args.selector.clone(),
        expires_at,
        ..KeyDocument::default()
    };
    let key = new_key();
    let mut checked = document.clone();
    checked.set_key(&key);
    if let Err(faults) = Key::check(checked, &Secrets::new(), &Defaults::default()) {
        let told: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
        return Err(CliError::Usage(told.join("; ")));
    }
    let new = NewKey { document, digest: KeyDigest::of(key.reveal()) };
    let file = handover::put(&data_dir, &new).map_err(|error| CliError::Failed(escaped(&error.to_string())))?;
    session.output.line(key.reveal())?;
    session.output.flush()?;
    // A service that was killed leaves this file behind: then the wait is in vain, and harmless.
    let until = Instant::now() + TAKEN_UP_WITHIN;
    while data_dir.join("listen").exists() && file.exists() && Instant::now() < until {
        tokio::time::sleep(LOOK).await;
    }
    session.output.note(&if file.exists() {
        format!("key \"{name}\" is good as soon as the service of {} runs", escaped(&data_dir.to_string_lossy()))
    } else {
        format!("key \"{name}\" created")
    });
    session.output.note("this is the only time it is shown: only a hash of it is kept");
    Ok(Exit::Ok)
}

/// After so long, at the beginning of a day, or at an instant; not in the past.
fn end(text: &str, now: DateTime<Utc>) -> Result<Timestamp, CliError> {
    let after = text.parse::<Span>().ok().and_then(|span| TimeDelta::from_std(span.get()).ok());
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc().into());
    let end = after.and_then(|after| now.checked_add_signed(after)).map(Timestamp::from);
    let shown = || escaped(text);
    match end.or_else(day).or_else(|| text.parse().ok()) {
        Some(end) if end.get() > now => Ok(end),
        Some(_) => Err(CliError::Usage(format!("--expires \"{}\" is not in the future", shown()))),
        None => Err(CliError::Usage(format!(
            "--expires \"{}\" is no time; write how long it is to live, such as 90d, a day such as 2027-01-01, or an instant such as 2027-01-01T12:00:00Z",
            shown()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_from_now_a_day_or_an_instant_and_never_past() {
        let now = "2026-11-23T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90d", "2027-02-21T10:00:00.000Z"),
            ("1h30m", "2026-11-23T11:30:00.000Z"),
            ("2027-01-01", "2027-01-01T00:00:00.000Z"),
            ("2027-01-01T12:00:00+02:00", "2027-01-01T10:00:00.000Z"),
        ] {
            assert_eq!(end(text, now).unwrap().to_string(), expected);
        }
        for (text, why) in [("2026-11-23", "not in the future"), ("0", "not in the future"), ("soon", "is no time")] {
            assert!(end(text, now).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
