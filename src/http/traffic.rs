//! How many requests were answered how, and how long that took.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use crate::actors::handle::{Counter, Histogram};

/// What requests are told apart by; whatever else a client makes up is one of the last.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// Classes of status codes.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Bounds of how long an answer takes, in seconds: from the request's head to the end of the answer.
const DURATIONS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Counts answers.
#[derive(Debug)]
pub struct Traffic {
    answered: [[Counter; CLASSES.len()]; METHODS.len()],
    /// How long answers took. One that was waited for (`wait=`) or followed takes as long as that.
    pub durations: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { answered: Default::default(), durations: Histogram::new(DURATIONS) }
    }
}

impl Traffic {
    /// A request was answered.
    pub fn note(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        if let Some(count) = self.answered.get(method).and_then(|classes| classes.get(class)) {
            count.add(1);
        }
        self.durations.observe(took);
    }

    /// How many requests were answered, by method and class of status.
    pub fn answered(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        METHODS.into_iter().zip(&self.answered).flat_map(|(method, classes)| {
            CLASSES.into_iter().zip(classes).map(move |(class, count)| (method, class, count.get()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_method_and_class() {
        let traffic = Traffic::default();
        let made_up = Method::from_bytes(b"BREW").unwrap();
        for (method, status) in [(Method::GET, 200), (Method::GET, 204), (Method::DELETE, 503), (made_up, 405)] {
            traffic.note(&method, StatusCode::from_u16(status).unwrap(), Duration::from_micros(300));
        }
        let moved: Vec<_> = traffic.answered().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(moved, [("GET", "2xx", 2), ("DELETE", "5xx", 1), ("other", "4xx", 1)]);
        assert_eq!(traffic.durations.buckets().first(), Some(&(0.0005, 4)));
    }
}
