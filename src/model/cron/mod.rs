//! Cron lines: exactly crontab(5) as Debian's cron(8) runs it, a leading seconds field, macros, and `@every`.
//!
//! | file | subject |
//! |---|---|
//! | `line.rs` | [`CronLine`]: the line as written, validated once |
//! | `field.rs` | one field: lists, ranges, steps, names |
//! | `error.rs` | [`CronError`], which names the field |
//! | `every.rs` | `@every 90s` |
//! | `wall.rs` | the next match on a clock without time zone (the `cron` crate) |
//! | `next.rs` | from that clock to instants: daylight-saving rules of cron(8) |
//! | `passed.rs` | how many instants lie between two moments |
//! | `words.rs` | the line in words |
//! | `oracle.rs` | tests only: Debian's clock loop, to compare with |
//! | `tests/` | by subject: lines, refused lines, clock changes, words |

mod error;
mod every;
mod field;
mod line;
mod next;
#[cfg(test)]
mod oracle;
mod passed;
#[cfg(test)]
mod tests;
mod wall;
mod words;

pub use error::{CronError, CronField};
pub use line::CronLine;
