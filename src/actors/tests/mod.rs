//! The actors under paused time: the whole node on a store in memory and scripted hosts, and some of them alone.

mod support;

mod asked;
mod catalog;
mod host;
mod node;
mod store;
mod supervision;
mod task;
