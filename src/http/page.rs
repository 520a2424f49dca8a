//! Pages of lists. A cursor says after which item the next page begins, so that writes in between shift nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::query::Reader;

/// The parameters of every list.
pub const LIMIT: &str = "limit";
/// See [`LIMIT`].
pub const CURSOR: &str = "cursor";

/// Which page is wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The list it is a page of.
    list: &'static str,
    /// At most so many items.
    pub limit: usize,
    /// Only what comes after this key.
    pub after: Option<String>,
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// The cursor of the next one.
    pub next: Option<String>,
    /// How many items there are on all pages.
    pub total: u64,
}

impl Wanted {
    /// From the parameters `limit` and `cursor`.
    pub fn read(query: &mut Reader<'_>, list: &'static str) -> Self {
        let limit = query.number(LIMIT, 1..=1000, 100);
        let after = query.text(CURSOR).and_then(|cursor| {
            let key = decode(list, cursor);
            if key.is_none() {
                query.fault(CURSOR, "is not a cursor of this list; take it from \"next\" of the page before");
            }
            key
        });
        Self { list, limit, after }
    }

    /// The cursor behind which the next page begins.
    pub fn cursor(&self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}\n{last}", self.list))
    }

    /// Cuts the page out of all items, which come in the order of their keys.
    pub fn cut<T>(&self, all: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> Page<T> {
        let mut page = Page { items: Vec::new(), next: None, total: 0 };
        let mut after = self.after.as_ref();
        let mut more = false;
        for item in all {
            page.total += 1;
            if after.is_some_and(|after| key(&item) <= *after) {
                continue;
            }
            // All that come now have greater keys.
            after = None;
            if page.items.len() < self.limit {
                page.items.push(item);
            } else {
                more = true;
            }
        }
        page.next = page.items.last().filter(|_| more).map(|last| self.cursor(&key(last)));
        page
    }

    /// The page where it is known how many items there are: of these, which come after the cursor, the first.
    pub fn take<T>(&self, total: usize, mut behind: impl Iterator<Item = T>, key: impl Fn(&T) -> String) -> Page<T> {
        let items: Vec<T> = behind.by_ref().take(self.limit).collect();
        let next = items.last().filter(|_| behind.next().is_some()).map(|last| self.cursor(&key(last)));
        Page { items, next, total: total as u64 }
    }
}

impl<T> Page<T> {
    /// The same page with its items as something else.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next: self.next, total: self.total }
    }
}

/// The key in a cursor, if it is one of this list.
fn decode(list: &str, cursor: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (of, key) = text.split_once('\n')?;
    (of == list).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::query::Query;

    fn wanted(query: &str) -> Result<Wanted, ()> {
        let query = Query::decode(query).unwrap();
        let mut reader = query.reader();
        let wanted = Wanted::read(&mut reader, "hosts");
        reader.done().map(|()| wanted).map_err(drop)
    }

    fn page(query: &str, all: &[&str]) -> Page<String> {
        wanted(query).unwrap().cut(all.iter().map(|name| (*name).to_owned()), Clone::clone)
    }

    #[test]
    fn pages_go_on_where_the_last_one_ended_whatever_is_written_meanwhile() {
        let first = page("limit=2", &["a", "c", "e", "g"]);
        assert_eq!((first.items.as_slice(), first.total), (["a".to_owned(), "c".to_owned()].as_slice(), 4));
        let cursor = first.next.unwrap();
        assert!(cursor.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'), "{cursor}");
        let second = page(&format!("limit=2&cursor={cursor}"), &["b", "d", "e", "g"]);
        assert_eq!((second.items.as_slice(), second.total), (["d".to_owned(), "e".to_owned()].as_slice(), 4));
        let last = page(&format!("cursor={}", second.next.unwrap()), &["b", "d", "e", "g"]);
        assert_eq!((last.items.as_slice(), last.next), (["g".to_owned()].as_slice(), None));
        assert_eq!(page("limit=4", &["a", "c", "e", "g"]).next, None);
    }

    #[test]
    fn a_cursor_of_another_list_or_none_at_all_is_refused() {
        let other = URL_SAFE_NO_PAD.encode("tasks\na");
        for bad in [&format!("cursor={other}"), "cursor=", "cursor=!!", "cursor=YQ", "limit=0", "limit=1001", "limit=x"]
        {
            assert!(wanted(bad).is_err(), "{bad}");
        }
        assert_eq!(wanted("").unwrap().limit, 100);
    }
}
