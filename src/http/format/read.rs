//! Reading a tree into a type, with every fault told at once.
//!
//! serde stops at the first fault. So each fault found is noted, the value at fault taken out of the tree, and the rest
//! read again, until nothing is wrong any more.

use serde::de::DeserializeOwned;

use super::MAX_FAULTS;
use super::fault::{Cause, Fault, ReadError, Step};
use super::node::{Kind, Node};
use super::reader::NodeReader;
use super::wording::push_pointer;

/// How many values may be looked at in all while the faults of one document are gathered: a very large document with
/// many faults must not keep a worker busy for minutes. It then gets fewer of them told.
const MAX_VISITS: usize = 20_000_000;

/// However large the document, this many readings are made if there are as many faults.
const MIN_READINGS: usize = 10;

/// Reads a document. The faults are in the order they were found, at most [`MAX_FAULTS`].
///
/// With faults the value is what remains without the values at fault, and is there only to be looked through for more
/// faults: it must not be acted on. A rule about several fields that cannot be judged because one of them was at fault
/// is not reported. The tree is used up.
pub fn read_document<T: DeserializeOwned>(node: &mut Node) -> (Option<T>, Vec<Fault>) {
    let mut readings_left = (MAX_VISITS / node.size()).max(MIN_READINGS);
    let mut faults = Vec::new();
    loop {
        let error = match T::deserialize(NodeReader::new(node)) {
            Ok(value) => return (Some(value), faults),
            Err(error) => error,
        };
        let go_on = take_out(node, &error, &mut faults);
        readings_left -= 1;
        if !go_on || faults.len() >= MAX_FAULTS || readings_left == 0 {
            faults.truncate(MAX_FAULTS);
            return (None, faults);
        }
    }
}

/// [`read_document`] without the fields that users may send back but not set. They may lead into objects:
/// `host_key/learned`.
pub fn read_document_ignoring<T: DeserializeOwned>(node: &mut Node, read_only: &[&str]) -> (Option<T>, Vec<Fault>) {
    for path in read_only {
        node.drop_field(path);
    }
    read_document(node)
}

/// Notes a fault and removes what is at fault. `false`: that is the whole document.
fn take_out(root: &mut Node, error: &ReadError, faults: &mut Vec<Fault>) -> bool {
    let steps: Vec<&Step> = error.steps().collect();
    let Some(node) = steps.iter().try_fold(&mut *root, |node, step| node.child_mut(step.index)) else {
        // Every step was made by who walked the tree; nothing can be taken out that is not there.
        faults.push(Fault { pointer: error.pointer(), detail: error.to_string() });
        return false;
    };
    let mut fault = |pointer: String, detail: &str| faults.push(Fault { pointer, detail: one_line(detail) });
    match &error.cause {
        Cause::Notes => {
            let usable = clear_notes(node, |note| fault(error.pointer(), &note));
            if usable {
                return true;
            }
        }
        Cause::Missing(field) if !node.has_removed_field(field) => {
            let mut pointer = error.pointer();
            push_pointer(&mut pointer, field);
            fault(pointer, "is required");
        }
        Cause::Missing(_) => {}
        // The object or list lacks what has been taken out of it, and may be right with it.
        Cause::Custom(_) | Cause::Length(_) | Cause::Value(_) if node.has_removed_child() => {}
        Cause::Custom(detail) | Cause::Length(detail) | Cause::Value(detail) => fault(error.pointer(), detail),
    }
    node.removed = true;
    !steps.is_empty()
}

/// Reports what is wrong with an element itself, once. `true`: its content can be read nevertheless.
fn clear_notes(node: &mut Node, report: impl FnMut(String)) -> bool {
    let Kind::Element(element) = &mut node.kind else {
        return false;
    };
    element.notes.drain(..).for_each(report);
    !element.broken
}

/// Messages of types come through as they are, but on one line.
fn one_line(detail: &str) -> String {
    detail.chars().map(|character| if matches!(character, '\n' | '\r') { ' ' } else { character }).collect()
}
