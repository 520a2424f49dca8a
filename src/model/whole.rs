//! Whole numbers of documents that tell their own range, not that of the type they are kept in.

use std::fmt;

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads a number for `deserialize_with`. What its type cannot hold is refused with the range of the field; what is
/// only outside of that is left to the check of the document.
pub(super) fn within<'de, const MIN: u64, const MAX: u64, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    struct Whole<const MIN: u64, const MAX: u64, T>(T);

    impl<'de, const MIN: u64, const MAX: u64, T: TryFrom<u64>> Deserialize<'de> for Whole<MIN, MAX, T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_u64(Range::<MIN, MAX, T>(std::marker::PhantomData)).map(Self)
        }
    }

    struct Range<const MIN: u64, const MAX: u64, T>(std::marker::PhantomData<T>);

    impl<const MIN: u64, const MAX: u64, T: TryFrom<u64>> Visitor<'_> for Range<MIN, MAX, T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number from {MIN} to {MAX}")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
            T::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
            let own = u64::try_from(number).ok().and_then(|number| T::try_from(number).ok());
            own.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
        }
    }

    Ok(Option::<Whole<MIN, MAX, T>>::deserialize(deserializer)?.map(|Whole(number)| number))
}

#[cfg(test)]
mod tests {
    use crate::model::HostDocument;

    #[test]
    fn a_number_of_no_use_is_told_the_range_of_its_field() {
        let read = |json: &str| serde_json::from_str::<HostDocument>(json).map(|host| host.port);
        assert_eq!(read(r#"{"port": 22}"#).unwrap(), Some(22));
        assert_eq!(read(r#"{"port": 0}"#).unwrap(), Some(0), "its check knows better words");
        assert_eq!(read(r#"{"port": null}"#).unwrap(), None);
        assert_eq!(read("{}").unwrap(), None);
        for bad in ["70000", "-1", "22.5", "1e30", "\"22\"", "true"] {
            let told = read(&format!(r#"{{"port": {bad}}}"#)).unwrap_err().to_string();
            assert!(told.contains("a whole number from 1 to 65535"), "{bad}: {told}");
        }
    }
}
