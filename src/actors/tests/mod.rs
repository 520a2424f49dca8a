//! The actors under paused time: alone with recorders, or the whole node on a store in memory and scripted hosts.

mod support;

mod task;
