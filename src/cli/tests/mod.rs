//! Commands against a service that gives canned answers.

mod adding;
mod exits;
mod nouns;
mod once;
mod parsing;
mod programs;
mod reading;
mod running;
mod secrets;
mod tending;
mod trusting;
