//! Notices when a connection has died, also when nothing happens on it.
//!
//! russh has keepalives, but its timer also runs while the login is still under way, where it sends nothing, never
//! ends a wait, and turns a silent peer into a busy loop (0.62.7). So the host is asked here: it must answer the
//! opening of a session, with yes or with no, which is also just what the next run needs of it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::timeout;

use super::session::{Link, Lost};

/// How often a connection is looked at. Its end is not announced by async-ssh2-tokio; a run in flight notices at once.
const LOOK: Duration = Duration::from_millis(500);

/// How long a connection that is given up may take to close.
const GOODBYE: Duration = Duration::from_secs(2);

/// Watches a connection until it has ended or nobody has it any more.
pub(super) async fn watch(link: Weak<Link>) {
    loop {
        let Some(look) = link.upgrade().map(|link| link.limits.keepalive_interval.min(LOOK)) else { return };
        tokio::time::sleep(look).await;
        let Some(link) = link.upgrade() else { return };
        if link.wire.is_closed() {
            link.note_lost(Lost::Closed);
        }
        if link.gone.is_cancelled() {
            link.wire.cut();
            return;
        }
        if link.silent_for() >= link.limits.keepalive_interval
            && let Err(lost) = answers(&link).await
        {
            link.note_lost(lost);
            let _ = timeout(GOODBYE, link.wire.disconnect()).await;
            link.wire.cut();
            return;
        }
    }
}

/// Whether a silent host is still there: it answers, or something else of it is heard meanwhile.
async fn answers(link: &Arc<Link>) -> Result<(), Lost> {
    let patience = link.limits.keepalive_interval * link.limits.keepalive_max.max(1) as u32;
    let answer = tokio::select! {
        answer = timeout(patience, link.open_once()) => answer,
        () = link.gone.cancelled() => return Err(Lost::Closed),
    };
    match answer {
        Ok(Ok(_) | Err(russh::Error::ChannelOpenFailure(_))) => {
            link.note_heard();
            Ok(())
        }
        Ok(Err(_)) => Err(Lost::Closed),
        Err(_) if link.silent_for() < patience => Ok(()),
        Err(_) => Err(Lost::Silent),
    }
}
