//! One page of a list as XML: `<hosts total="2" next="…"><host>…</host></hosts>`.

use serde::Serialize;

use super::error::FormatError;
use super::xml_chars::is_legal;
use super::xml_tag::ElementWriter;
use super::xml_write::DECLARATION;

/// Writes one page of a list: `root` is `hosts`, `item` is `host`, `total` how many there are on all pages, `next` the
/// cursor of the next page if there is one (characters that XML cannot hold are an error; cursors are URL-safe).
///
/// # Errors
/// An item has no XML, see [`super::to_xml`].
pub fn list_to_xml<T: Serialize>(
    root: &str,
    item: &str,
    items: &[T],
    total: u64,
    next: Option<&str>,
) -> Result<String, FormatError> {
    let mut out = DECLARATION.to_owned();
    let total = total.to_string();
    let mut attributes = vec![("total", total.as_str())];
    if let Some(next) = next {
        if !next.chars().all(is_legal) {
            return Err(FormatError::Unwritable { detail: "the cursor holds characters that XML cannot".to_owned() });
        }
        attributes.push(("next", next));
    }
    let mut tag = ElementWriter::root(&mut out, root, &attributes).open(None)?;
    for value in items {
        value.serialize(tag.child(item))?;
    }
    tag.close()?;
    Ok(out)
}
