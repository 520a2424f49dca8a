//! InfluxDB: values over HTTP, in its line protocol.
//!
//! <https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/>: `TASK,host=…,label=…,unit=… value=0.5 TIME`, the
//! time in nanoseconds. Under a measurement of another name the task is a tag as well. Values are always floats, as a field
//! cannot change its type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use awc::http::{Method, header};
use url::Url;

use super::error::DeliveryError;
use super::http::{self, Answer};
use super::point::Point;
use super::trust::Trust;
use crate::model::SecretText;
use crate::model::action::{Influx, InfluxDatabase, check_url};

/// The whole URL that values are posted to.
fn write_url(influx: &Influx) -> Result<Url, DeliveryError> {
    let mut url = check_url(&influx.url).map_err(|error| DeliveryError::permanent(format!("its URL {error}")))?;
    let (path, parameters) = match &influx.database {
        InfluxDatabase::Database { name, .. } => ("/write", vec![("db", name)]),
        InfluxDatabase::Bucket { org, bucket, .. } => ("/api/v2/write", vec![("org", org), ("bucket", bucket)]),
    };
    let whole = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&whole);
    url.query_pairs_mut().extend_pairs(parameters);
    Ok(url)
}

/// A batch as lines.
fn lines(influx: &Influx, points: &[Point]) -> String {
    let mut lines = String::new();
    for point in points {
        let mut tags: BTreeMap<&str, &str> =
            influx.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        tags.extend([("host", point.host.as_str()), ("task", point.task.as_str()), ("label", &point.label)]);
        if let Some(unit) = point.unit.as_deref().filter(|unit| !unit.is_empty()) {
            tags.insert("unit", unit);
        }
        let measurement = match &influx.measurement {
            Some(measurement) => measurement,
            // Its name says it already.
            None => {
                tags.remove("task");
                point.task.as_str()
            }
        };
        lines.push_str(&escaped(measurement, ", "));
        // Tags sorted by name cost InfluxDB the least.
        for (name, value) in tags {
            let _ = write!(lines, ",{}={}", escaped(name, ",= "), escaped(value, ",= "));
        }
        let _ = writeln!(lines, " value={} {}", point.value, i128::from(point.at.millis()) * 1_000_000);
    }
    lines
}

/// A name or a tag's value: what is special is escaped by `\`. A line end cannot be, nor can a backslash at the end.
fn escaped(value: &str, special: &str) -> String {
    let plain: Cow<'_, str> =
        if value.contains(char::is_control) { value.replace(char::is_control, "_").into() } else { value.into() };
    let plain = plain.trim_end_matches('\\');
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        if special.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    if escaped.is_empty() { "_".to_owned() } else { escaped }
}

/// The client of an InfluxDB.
pub(super) struct InfluxWriter {
    influx: Influx,
    /// Its token, or its password.
    secret: Option<SecretText>,
    client: awc::Client,
}

impl InfluxWriter {
    pub(super) fn new(influx: Influx, secret: Option<SecretText>, trust: &Trust) -> Self {
        Self { influx, secret, client: http::client(trust) }
    }

    /// Posts values.
    pub(super) async fn send(&mut self, points: &[Point]) -> Result<usize, DeliveryError> {
        let url = write_url(&self.influx)?;
        let mut request = self.client.request(Method::POST, url.as_str()).timeout(self.influx.timeout.get());
        request = request.content_type("text/plain; charset=utf-8");
        let secret = self.secret.as_ref().map(SecretText::reveal);
        request = match (&self.influx.database, secret) {
            (InfluxDatabase::Database { user: Some(user), .. }, password) => {
                request.basic_auth(user, password.unwrap_or_default())
            }
            (InfluxDatabase::Bucket { .. }, Some(token)) => {
                request.insert_header((header::AUTHORIZATION, format!("Token {token}")))
            }
            _ => request,
        };
        let answer = http::answer(request.send_body(lines(&self.influx, points))).await;
        let judged = answer.map_err(|error| failed(&url, error.error())).and_then(|answer| judged(&url, &answer));
        judged.map(|()| points.len()).map_err(|error| match &self.secret {
            // It may say what it was sent.
            Some(secret) => DeliveryError { message: secret.hide_in(&error.message), ..error },
            None => error,
        })
    }
}

fn failed(url: &Url, error: DeliveryError) -> DeliveryError {
    DeliveryError { message: format!("InfluxDB at {}: {}", http::shown(url), error.message), ..error }
}

/// What an answer means. What it does not like of the lines it will not like later either; anything else somebody can mend.
fn judged(url: &Url, answer: &Answer) -> Result<(), DeliveryError> {
    let said = serde_json::from_str::<serde_json::Value>(&answer.text).unwrap_or_default();
    let said = ["error", "message"].iter().find_map(|field| said[field].as_str()).unwrap_or_default();
    let told = format!("it answered {} {said}", answer.status);
    match answer.status {
        200..=299 => Ok(()),
        400 | 413 | 422 => Err(failed(url, DeliveryError::permanent(told))),
        _ => Err(failed(url, DeliveryError { after: answer.retry_after, ..DeliveryError::temporary(told) })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use crate::sinks::point::tests::point;

    fn v1(url: &str) -> Influx {
        Influx {
            url: url.to_owned(),
            database: InfluxDatabase::Database { name: "m&m".to_owned(), user: None, password: None },
            measurement: None,
            tags: BTreeMap::new(),
            timeout: Span::seconds(10),
        }
    }

    #[test]
    fn a_value_is_a_line_with_what_is_special_escaped() {
        let points = [
            point("load1", 0.5, None),
            point("a b,c=d", 1.0, Some("%")),
            point("C:\\", 2.0, Some("B")),
            point("x\ny\\z", -7.0, Some("c")),
        ];
        assert_eq!(
            lines(&v1("http://h"), &points),
            "load,host=web1.example.org,label=load1 value=0.5 1795564800500000000\n\
             load,host=web1.example.org,label=a\\ b\\,c\\=d,unit=% value=1 1795564800500000000\n\
             load,host=web1.example.org,label=C:,unit=B value=2 1795564800500000000\n\
             load,host=web1.example.org,label=x_y\\z,unit=c value=-7 1795564800500000000\n"
        );
        assert_eq!(escaped("\\", ",= "), "_", "no tag is without a value");
        let tags = [("site", "a b"), ("host", "not this one")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let named = Influx { measurement: Some("my, alf".to_owned()), tags: tags.into(), ..v1("http://h") };
        assert_eq!(
            lines(&named, &points[..1]),
            "my\\,\\ alf,host=web1.example.org,label=load1,site=a\\ b,task=load value=0.5 1795564800500000000\n"
        );
    }

    #[test]
    fn the_url_is_put_together() {
        let database =
            |org: &str| InfluxDatabase::Bucket { org: org.to_owned(), bucket: "my bucket".to_owned(), token: None };
        let v2 = |url: &str| Influx { database: database("ops"), ..v1(url) };
        let cases = [
            (v1("http://h:8086"), "http://h:8086/write?db=m%26m"),
            (v1("http://h/influx/?rp=week"), "http://h/influx/write?rp=week&db=m%26m"),
            (v2("https://h"), "https://h/api/v2/write?org=ops&bucket=my+bucket"),
        ];
        for (influx, expected) in cases {
            assert_eq!(write_url(&influx).unwrap().as_str(), expected);
        }
        for wrong in ["h:8086", "ftp://h", "", "http://"] {
            let error = write_url(&v1(wrong)).unwrap_err();
            assert!(!error.retry && error.message.contains("URL"), "{wrong}: {error:?}");
        }
    }

    #[test]
    fn what_somebody_can_mend_is_tried_again() {
        let url = Url::parse("http://h/write").unwrap();
        let judged = |status, text: &str| {
            judged(&url, &Answer { status, location: None, retry_after: None, text: text.to_owned() })
        };
        assert_eq!(judged(204, ""), Ok(()));
        let refused = judged(400, r#"{"error": "partial write: field type conflict"}"#).unwrap_err();
        assert!(!refused.retry && refused.message.contains("field type conflict"), "{refused:?}");
        for status in [401, 404, 429, 500, 503, 301] {
            let error = judged(status, "<html>what a stranger says</html>").unwrap_err();
            assert!(error.retry && !error.message.contains("stranger"), "{error:?}");
        }
    }
}
