//! The actors under paused time: the whole node on a store in memory and scripted hosts, and some of them alone.

mod courier;
mod support;

mod actions;
mod apply;
mod asked;
mod catalog;
mod clock;
mod connection;
mod holds;
mod host;
mod host_key;
mod load;
mod moments;
mod node;
mod once;
mod retention;
mod rotation;
mod secrets;
mod standing;
mod store;
mod supervision;
mod task;
mod turns;
mod work;
