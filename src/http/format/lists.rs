//! A document whose fields are lists of things, taken apart into them: each is read by itself then, so that a fault in
//! one of many thousands costs no reading of the others.

use super::fault::Fault;
use super::node::{Kind, Node};
use super::wording::{excerpt, push_index, push_pointer};

/// A list that may be in the document: its field, and what an item may be called in XML in place of `item`.
pub type ListWords = (&'static str, &'static str);

/// The lists of a document that are there, each with its items, and what is wrong with all else. An item keeps its place
/// in its list.
pub fn take_lists(document: Node, known: &[ListWords]) -> (Vec<(&'static str, Vec<Node>)>, Vec<Fault>) {
    let mut lists: Vec<(&'static str, Vec<Node>)> = Vec::new();
    let mut faults = Vec::new();
    let fields = match document.kind {
        Kind::Map(fields) => fields,
        Kind::Element(element) if element.text.trim().is_empty() => {
            faults.extend(element.notes.into_iter().map(|note| fault("", note)));
            element.children
        }
        _ => {
            faults.push(fault("", "expected an object of lists".to_owned()));
            Vec::new()
        }
    };
    for (name, value) in fields {
        let mut pointer = String::new();
        push_pointer(&mut pointer, &name);
        let Some((field, item)) = known.iter().copied().find(|(field, _)| *field == name) else {
            let allowed: Vec<&str> = known.iter().map(|(field, _)| *field).collect();
            faults.push(fault(&pointer, format!("unknown field; allowed: {}", allowed.join(", "))));
            continue;
        };
        if lists.iter().any(|(other, _)| *other == field) {
            faults.push(fault(&pointer, "given twice".to_owned()));
            continue;
        }
        if let Some(items) = items_of(value, item, &pointer, &mut faults) {
            lists.push((field, items));
        }
    }
    (lists, faults)
}

/// The items of one list; none for null.
fn items_of(list: Node, called: &str, pointer: &str, faults: &mut Vec<Fault>) -> Option<Vec<Node>> {
    match list.kind {
        Kind::Null => None,
        Kind::List(items) => Some(items),
        Kind::Element(element) => {
            let (null, blank) = (element.null, element.is_blank());
            faults.extend(element.notes.into_iter().map(|note| fault(pointer, note)));
            if null {
                return None;
            }
            if element.children.is_empty() && !blank {
                faults.push(fault(pointer, "expected a list, found text".to_owned()));
            }
            let items = element.children.into_iter().enumerate().map(|(index, (name, node))| {
                if name != "item" && name != called {
                    let mut pointer = pointer.to_owned();
                    push_index(&mut pointer, index);
                    let detail = format!("expected <item> or <{called}>, found <{}>", excerpt(&name));
                    faults.push(fault(&pointer, detail));
                }
                node
            });
            Some(items.collect())
        }
        _ => {
            faults.push(fault(pointer, "expected a list".to_owned()));
            None
        }
    }
}

fn fault(pointer: &str, detail: String) -> Fault {
    Fault { pointer: pointer.to_owned(), detail }
}
