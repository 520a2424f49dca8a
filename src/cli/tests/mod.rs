//! Commands against a service that gives canned answers.

mod parsing;
mod exits;
mod nouns;
mod adding;
mod running;
mod reading;
