//! Server-Sent Events as they come (WHATWG HTML, section 9.2): what the service sends of a run's output.

/// Longest line that is taken in; the service's are far below.
const LONGEST: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// What kind.
    pub(super) kind: String,
    /// From where to go on after it.
    pub(super) id: Option<String>,
    /// What it says.
    pub(super) data: String,
}

/// Puts events together from pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Events {
    rest: Vec<u8>,
    begun: Event,
}

impl Events {
    /// The events that are whole with this piece; none if it can be no event stream.
    pub(super) fn push(&mut self, piece: &[u8]) -> Option<Vec<Event>> {
        self.rest.extend_from_slice(piece);
        let mut whole = Vec::new();
        let mut taken = 0;
        while let Some(length) = self.rest[taken..].iter().position(|byte| *byte == b'\n') {
            let line = &self.rest[taken..taken + length];
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            taken += length + 1;
            whole.extend(self.line(&line));
        }
        self.rest.drain(..taken);
        (self.rest.len() <= LONGEST).then_some(whole)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.begun);
            return Some(event).filter(|event| !event.kind.is_empty());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.begun.kind),
            "id" => self.begun.id = Some(value.to_owned()),
            "data" => {
                if !self.begun.data.is_empty() {
                    self.begun.data.push('\n');
                }
                self.begun.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream =
            b"retry: 1\n\n:\n\nevent: stdout\nid: 3.0\ndata: {\"a\":\ndata: 1}\n\nevent:end\r\ndata:x\r\n\r\nevent: no";
        for size in [1, 2, 7, 1000] {
            let mut events = Events::default();
            let told: Vec<Event> = stream.chunks(size).flat_map(|piece| events.push(piece).unwrap()).collect();
            let event = |kind: &str, id: Option<&str>, data: &str| Event {
                kind: kind.to_owned(),
                id: id.map(str::to_owned),
                data: data.to_owned(),
            };
            assert_eq!(told, [event("stdout", Some("3.0"), "{\"a\":\n1}"), event("end", None, "x")]);
        }
    }
}
