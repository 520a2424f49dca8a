//! Where Actions send things.
//!
//! Two kinds. What a task measures goes to a [`MetricSink`]: a queue that never holds up who fills it, with a spool on disk
//! for as long as the receiver is away; Graphite, Ganglia and InfluxDB are such receivers. A message is delivered once or
//! not, and whoever hands it in keeps it until it is.
//!
//! Sending is not `Send` where HTTP is spoken (awc): it wants an arbiter, or a `LocalSet` in tests.

mod destination;
mod email;
mod error;
mod ganglia;
mod graphite;
mod http;
mod influx;
mod metric_sink;
mod point;
mod spool;
mod trust;
mod webhook;

pub use destination::Destinations;
pub use email::{Mail, MailServer, MailTls, Mailer};
pub use error::DeliveryError;
pub use metric_sink::{MetricSink, Receiver, SinkError, SinkStats, Spooling};
pub use point::Point;
pub use trust::Trust;
pub use webhook::{Delivered, WebhookRequest, Webhooks};
