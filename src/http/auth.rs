//! Who may do what: one table of operations, and the key that a request shows.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderName, RETRY_AFTER};

use super::State;
use super::call::Endpoint;
use super::problem::{Kind, Problem};
use super::query::{NO_KEY_HERE, Query};
use super::route::Hosts;
use crate::model::{Key, Name, Origin, Rights, Role};

/// One of the two headers for a key.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a route does, as far as rights are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Tells whether Alf lives; for load balancers, which have no key.
    Probe,
    /// Reads what is for everybody.
    Public,
    /// Reads a document.
    Read,
    /// Reads figures for a monitoring system; needs no key where `metrics.public` says so.
    Scrape,
    /// Reads raw bytes, whatever the client says it accepts.
    Download,
    /// Asks a host something, over the network.
    Ask,
    /// Runs a defined task, or cancels a run.
    Run,
    /// Reads an event stream.
    Follow,
    /// Runs what is not defined: anything.
    Exec,
    /// Asks what would be done about something, with what would be sent.
    Try,
    /// Acknowledges, sets downtimes, pauses.
    Tend,
    /// Changes definitions.
    Write,
    /// The same with a file as the body, or with many definitions.
    Upload,
    /// Nothing: the route or its method is not there. A key is needed to be told so of the API.
    Nothing,
    /// Nothing, outside of the API.
    NothingPublic,
}

impl Operation {
    /// The least role that may do it; none: no key is needed.
    pub const fn least_role(self) -> Option<Role> {
        match self {
            Self::Probe | Self::Public | Self::NothingPublic => None,
            Self::Read | Self::Scrape | Self::Download | Self::Follow | Self::Nothing => Some(Role::Viewer),
            Self::Ask | Self::Run | Self::Exec | Self::Try | Self::Tend => Some(Role::Operator),
            Self::Write | Self::Upload => Some(Role::Admin),
        }
    }

    /// Whether its answer is a document in a form that the client chooses.
    pub const fn answers_document(self) -> bool {
        matches!(
            self,
            Self::Read | Self::Ask | Self::Run | Self::Exec | Self::Try | Self::Tend | Self::Write | Self::Upload
        )
    }
}

/// The key behind a request, if the operation needs one.
pub fn authenticate(
    request: &HttpRequest,
    state: &State,
    operation: Operation,
    origin: &Origin,
) -> Result<Option<Arc<Key>>, Problem> {
    let is_open = operation == Operation::Scrape && state.public_metrics;
    if is_open || operation.least_role().is_none() {
        return Ok(None);
    }
    let Some(shown) = shown_key(request) else {
        let in_url = Query::decode(request.query_string()).is_ok_and(|query| query.holds_key());
        let header = "show a key: Authorization: Bearer KEY, or X-Api-Key: KEY";
        return Err(Problem::unauthorized(if in_url { NO_KEY_HERE } else { header }));
    };
    let Some(key) = state.handle.authenticate(shown) else {
        state.handle.asked_by(origin.clone()).login_refused();
        return Err(match state.bad_keys.note(origin.address) {
            None => Problem::unauthorized("this key is not known here"),
            Some(wait) => {
                let detail = "too many bad keys came from this address; good ones are still served";
                Problem::new(Kind::TooManyRequests, detail).with(RETRY_AFTER, wait.as_secs().max(1).to_string())
            }
        });
    };
    if let Some(end) = key.expires_at.filter(|_| key.has_expired(state.handle.now())) {
        let by = Some(key.meta.name.clone());
        state.handle.asked_by(Origin { by, ..origin.clone() }).login_refused();
        return Err(Problem::unauthorized(&format!("the key \"{}\" expired at {end}", key.meta.name)));
    }
    state.handle.note_key_use(&key);
    Ok(Some(key))
}

/// Refuses what a key may not do: by its role, and by the hosts it is for. What is left for the handler to decide, it is
/// given the rights for.
pub fn authorise(key: &Arc<Key>, endpoint: Endpoint, request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if let Some(least) = endpoint.operation.least_role().filter(|least| key.role < *least) {
        let detail = format!("this needs the role {least}; the key \"{}\" has {}", key.meta.name, key.role);
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    if endpoint.operation == Operation::Exec && !key.exec {
        let detail = format!("this needs the role admin or a key with exec; the key \"{}\" has it not", key.meta.name);
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let rights = Rights::of(Arc::clone(key));
    match endpoint.hosts {
        Hosts::None | Hosts::Covered => Ok(()),
        Hosts::All => Ok(rights.check_all()?),
        Hosts::Named => {
            let catalog = state.handle.catalog();
            match Name::parse(request.match_info().query("host")) {
                Ok(host) if catalog.hosts.contains_key(&host) => Ok(rights.check(&host, &catalog)?),
                // There is none of this name, and so the handler will say.
                _ => Ok(()),
            }
        }
    }
}

/// The key a request shows, in one of its two headers; never in its URL.
fn shown_key(request: &HttpRequest) -> Option<&str> {
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| text(X_API_KEY)).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn each_operation_has_its_least_role() {
        for (operation, role) in [
            (Operation::Probe, None),
            (Operation::Read, Some(Role::Viewer)),
            (Operation::Scrape, Some(Role::Viewer)),
            (Operation::Download, Some(Role::Viewer)),
            (Operation::Ask, Some(Role::Operator)),
            (Operation::Run, Some(Role::Operator)),
            (Operation::Exec, Some(Role::Operator)),
            (Operation::Follow, Some(Role::Viewer)),
            (Operation::Try, Some(Role::Operator)),
            (Operation::Tend, Some(Role::Operator)),
            (Operation::Write, Some(Role::Admin)),
            (Operation::Upload, Some(Role::Admin)),
        ] {
            assert_eq!(operation.least_role(), role, "{operation:?}");
        }
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }

    #[test]
    fn a_key_is_read_from_headers_only() {
        let of = |name: &'static str, value: &'static str| {
            let request = TestRequest::get().uri("/?key=alf_x").insert_header((name, value)).to_http_request();
            shown_key(&request).map(str::to_owned)
        };
        assert_eq!(of("Authorization", "Bearer alf_a").as_deref(), Some("alf_a"));
        assert_eq!(of("Authorization", "bearer  alf_a ").as_deref(), Some("alf_a"));
        assert_eq!(of("X-Api-Key", "alf_b").as_deref(), Some("alf_b"));
        for (name, value) in
            [("Authorization", "Basic YTpi"), ("Authorization", "alf_a"), ("X-Api-Key", ""), ("Accept", "*/*")]
        {
            assert_eq!(of(name, value), None, "{name}: {value}");
        }
    }
}
