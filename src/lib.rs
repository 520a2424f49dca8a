//! Alf runs scheduled tasks on remote hosts over SSH. The map of its rooms; `ARCHITECTURE.md` tells the rest.

pub mod actors;
pub mod app;
pub mod cli;
pub mod clock;
pub mod courier;
pub mod data_dir;
pub mod handover;
pub mod http;
pub mod logging;
pub mod model;
pub mod serve;
pub mod settings;
pub mod sinks;
pub mod ssh;
pub mod store;
pub mod upkeep;
pub mod vault;
