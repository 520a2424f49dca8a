//! The actors: who owns what, and what they say to each other. One actor a file, its messages at the top of it.
//!
//! `handle.rs` is the door for HTTP and tests; `app.rs` puts it all together.

pub mod action;
pub mod audit;
pub mod board;
pub mod catalog;
pub mod catch_up;
pub mod counts;
pub mod definitions;
pub mod error;
pub mod handle;
pub mod heard;
pub mod host;
pub mod host_key;
pub mod in_flight;
pub mod judge;
pub mod key_uses;
pub mod max_running;
pub mod node;
pub mod order;
pub mod parts;
pub mod published;
pub mod reactions;
pub mod refused;
pub mod store;
pub mod supervision;
pub mod task;

mod ack;
mod apply;
mod cancel;
mod clock_watch;
mod connection;
mod deadline;
mod doctor;
mod due;
mod exec;
mod figures;
mod follow;
mod health;
mod jump;
pub mod ledger;
mod leftovers;
mod link;
pub mod news;
pub mod once;
mod pause;
mod places;
pub mod plan;
mod programs;
mod reconnect;
pub mod retention;
mod retry;
mod rotation;
mod run;
mod saving;
mod start;
mod stats;
mod told;
mod turns;
mod unlinked;
mod verdict;
mod watching;

#[cfg(test)]
mod tests;
