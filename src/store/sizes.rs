//! How large a store is, and what is in it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Timestamp;

/// How large a table or collection is, its indexes included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// Rows or documents in it.
    pub rows: u64,
    /// Bytes that they take.
    pub bytes: u64,
}

/// How large a store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The version of its schema.
    pub schema: u32,
    /// Bytes on disk, where they are known.
    pub bytes: Option<u64>,
    /// Bytes in which something is, where they are known.
    pub used: Option<u64>,
    /// Bytes that are free within those on disk, where they are known.
    pub free: Option<u64>,
    /// Days that have Results.
    pub days: u64,
    /// When the ids of the oldest and the newest Result were made.
    pub oldest: Option<Timestamp>,
    /// The newest.
    pub newest: Option<Timestamp>,
    /// Its tables or collections; those of Results as one.
    pub tables: BTreeMap<String, TableSize>,
}
