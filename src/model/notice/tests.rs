//! Every hold, and every way it ends.

use super::*;

const TERMS: Terms = Terms { recovery: true, throttle: None, repeat: None, lasting: None };
const CRITICAL: AnyState = AnyState::Task(State::Critical);
const WARNING: AnyState = AnyState::Task(State::Warning);
const MINUTE: i64 = 60_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * MINUTE).unwrap()
}

fn told(state: AnyState, minute: i64) -> Told {
    Told { state, result: None, at: at(minute) }
}

fn none() -> Holds {
    Holds::default()
}

/// What stands in the way at a time, by each hold that comes from outside.
fn each_hold() -> Vec<(Hold, Holds)> {
    vec![
        (Hold::HostDown, Holds { host_down: true, ..none() }),
        (Hold::Downtime, Holds { downtime: true, ..none() }),
        (Hold::Acknowledged, Holds { acknowledged: true, ..none() }),
        (Hold::Flapping, Holds { flapping: true, ..none() }),
        (Hold::QuietHours, Holds { quiet: Some(vec![]), ..none() }),
        (Hold::Limit, Holds { limited: true, ..none() }),
    ]
}

#[test]
fn whatever_holds_it_back_a_problem_is_told_once_when_that_ends_and_it_is_still_hard() {
    for (hold, holds) in each_hold() {
        let mut notice = Notice::default();
        assert_eq!(notice.problem(&TERMS, &holds, told(CRITICAL, 0)), Step::Held(NoticeKind::Problem, hold));
        assert_eq!(notice.look(&TERMS, &holds, Stands::Hard(CRITICAL), at(1)), Step::Nothing, "{hold:?} goes on");
        assert_eq!(notice.look(&TERMS, &none(), Stands::Soft(CRITICAL), at(2)), Step::Nothing, "{hold:?}: not certain");
        let step = notice.look(&TERMS, &none(), Stands::Hard(WARNING), at(3));
        assert_eq!(step, Step::Send(NoticeKind::Problem), "{hold:?}");
        assert_eq!(notice.told, Some(told(WARNING, 3)));
        assert_eq!(notice.look(&TERMS, &none(), Stands::Hard(WARNING), at(4)), Step::Nothing, "{hold:?}: once");
        assert_eq!(notice.recovery(&TERMS, &none(), None, at(5)), Step::Send(NoticeKind::Recovery), "{hold:?}");
        assert!(notice.is_over(&TERMS, at(5)));
    }
}

#[test]
fn whatever_held_it_back_what_is_well_again_is_never_told() {
    for (hold, holds) in each_hold() {
        let mut notice = Notice::default();
        notice.problem(&TERMS, &holds, told(CRITICAL, 0));
        let step = notice.recovery(&TERMS, &holds, None, at(1));
        assert_eq!(step, Step::Dropped(NoticeKind::Problem, hold), "its end came");
        assert_eq!(notice.look(&TERMS, &none(), Stands::Well, at(2)), Step::Nothing, "{hold:?}");
        assert!(notice.is_over(&TERMS, at(2)), "{hold:?}");

        notice.problem(&TERMS, &holds, told(CRITICAL, 3));
        let step = notice.look(&TERMS, &none(), Stands::Well, at(4));
        assert_eq!(step, Step::Dropped(NoticeKind::Problem, hold), "the hold ended when it was over");
        assert!(notice.is_over(&TERMS, at(4)), "{hold:?}");
    }
}

#[test]
fn when_one_hold_ends_and_another_stands_it_stays_owed() {
    for (_, holds) in each_hold() {
        for (other, others) in each_hold() {
            let mut notice = Notice::default();
            notice.problem(&TERMS, &holds, told(CRITICAL, 0));
            assert_eq!(notice.look(&TERMS, &others, Stands::Hard(CRITICAL), at(1)), Step::Nothing);
            let owed = notice.owed.unwrap();
            assert_eq!((owed.hold, owed.since), (other, at(0)));
            let step = notice.look(&TERMS, &none(), Stands::Hard(CRITICAL), at(2));
            assert_eq!(step, Step::Send(NoticeKind::Problem));
        }
    }
}

#[test]
fn a_worse_state_while_it_is_held_is_one_notification_with_the_state_of_then() {
    for (hold, holds) in each_hold() {
        let mut notice = Notice::default();
        notice.problem(&TERMS, &holds, told(WARNING, 0));
        assert_eq!(notice.problem(&TERMS, &holds, told(CRITICAL, 1)), Step::Held(NoticeKind::Problem, hold));
        let step = notice.look(&TERMS, &none(), Stands::Hard(CRITICAL), at(2));
        assert_eq!(step, Step::Send(NoticeKind::Problem), "{hold:?}");
        assert_eq!(notice.told.unwrap().state, CRITICAL);
        assert_eq!(notice.look(&TERMS, &none(), Stands::Hard(CRITICAL), at(3)), Step::Nothing, "{hold:?}");
    }
}

#[test]
fn the_end_of_what_was_told_is_held_too_and_told_if_it_is_still_over() {
    for (hold, holds) in each_hold() {
        let mut notice = Notice::default();
        notice.problem(&TERMS, &none(), told(CRITICAL, 0));
        let step = notice.recovery(&TERMS, &holds, None, at(1));
        // Who knows of it, and who was told enough, hears that it is over.
        if matches!(hold, Hold::Acknowledged | Hold::Limit) {
            assert_eq!(step, Step::Send(NoticeKind::Recovery), "{hold:?}");
            continue;
        }
        assert_eq!(step, Step::Held(NoticeKind::Recovery, hold));
        assert_eq!(notice.look(&TERMS, &holds, Stands::Well, at(2)), Step::Nothing);
        let mut again = notice;
        assert_eq!(notice.look(&TERMS, &none(), Stands::Well, at(3)), Step::Send(NoticeKind::Recovery), "{hold:?}");
        assert!(notice.is_over(&TERMS, at(3)));
        // It went wrong again before they heard that it was well.
        again.problem(&TERMS, &holds, told(CRITICAL, 3));
        let step = again.look(&TERMS, &none(), Stands::Hard(CRITICAL), at(4));
        assert_eq!(step, Step::Send(NoticeKind::Problem), "{hold:?}");
        assert_eq!(again.recovery(&TERMS, &none(), None, at(5)), Step::Send(NoticeKind::Recovery), "{hold:?}");
    }
}

#[test]
fn only_those_who_were_told_of_it_are_told_that_it_is_over() {
    let mut notice = Notice::default();
    assert_eq!(notice.recovery(&TERMS, &none(), None, at(0)), Step::Nothing);
    let silent = Terms { recovery: false, ..TERMS };
    notice.problem(&silent, &none(), told(CRITICAL, 1));
    assert_eq!(notice.recovery(&silent, &none(), None, at(2)), Step::Nothing);
    assert_eq!(notice.recovery(&TERMS, &none(), None, at(3)), Step::Nothing, "it is over");
}

#[test]
fn the_throttle_holds_back_the_same_and_lesser_and_lets_worse_and_recoveries_pass() {
    let terms = Terms { throttle: Some(10 * MINUTE), ..TERMS };
    let mut notice = Notice::default();
    assert_eq!(notice.problem(&terms, &none(), told(WARNING, 0)), Step::Send(NoticeKind::Problem));
    assert_eq!(notice.problem(&terms, &none(), told(CRITICAL, 1)), Step::Send(NoticeKind::Problem), "worse");
    assert_eq!(notice.recovery(&terms, &none(), None, at(2)), Step::Send(NoticeKind::Recovery));
    assert!(!notice.is_over(&terms, at(2)), "the throttle is remembered");
    let held = Step::Held(NoticeKind::Problem, Hold::Throttle);
    assert_eq!(notice.problem(&terms, &none(), told(CRITICAL, 3)), held);
    let mut well = notice;
    assert_eq!(well.recovery(&terms, &none(), None, at(4)), Step::Dropped(NoticeKind::Problem, Hold::Throttle));
    assert!(!well.is_over(&terms, at(10)) && well.is_over(&terms, at(11)));
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(10)), Step::Nothing);
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(11)), Step::Send(NoticeKind::Problem));
}

#[test]
fn what_has_to_last_is_told_once_when_it_is_that_old_and_nobody_has_taken_it_on() {
    let terms = Terms { lasting: Some(10 * MINUTE), ..TERMS };
    let acknowledged = Holds { acknowledged: true, ..none() };
    let mut notice = Notice::default();
    assert_eq!(notice.problem(&terms, &none(), told(WARNING, 0)), Step::Nothing);
    assert_eq!(notice.problem(&terms, &none(), told(CRITICAL, 5)), Step::Nothing);
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(9)), Step::Nothing);
    let mut handled = notice;
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(10)), Step::Send(NoticeKind::Problem));
    assert_eq!(notice.problem(&terms, &none(), told(WARNING, 11)), Step::Nothing);
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(WARNING), at(30)), Step::Nothing, "once");
    assert_eq!(notice.recovery(&terms, &none(), None, at(31)), Step::Send(NoticeKind::Recovery));

    let step = handled.look(&terms, &acknowledged, Stands::Hard(CRITICAL), at(10));
    assert_eq!(step, Step::Held(NoticeKind::Problem, Hold::Acknowledged));
    assert_eq!(handled.look(&terms, &none(), Stands::Hard(CRITICAL), at(40)), Step::Send(NoticeKind::Problem));

    // What was over before is not told, and the next one has its own time.
    let mut short = Notice::default();
    short.problem(&terms, &none(), told(CRITICAL, 0));
    assert_eq!(short.recovery(&terms, &none(), None, at(5)), Step::Nothing);
    short.problem(&terms, &none(), told(CRITICAL, 6));
    assert_eq!(short.look(&terms, &none(), Stands::Hard(CRITICAL), at(15)), Step::Nothing);
    assert_eq!(short.look(&terms, &none(), Stands::Hard(CRITICAL), at(16)), Step::Send(NoticeKind::Problem));
}

#[test]
fn it_is_repeated_while_nobody_has_taken_it_on_and_not_in_quiet_hours() {
    let terms = Terms { repeat: Some(30 * MINUTE), throttle: Some(40 * MINUTE), ..TERMS };
    let mut notice = Notice::default();
    notice.problem(&terms, &none(), told(CRITICAL, 0));
    assert!(notice.waits(&terms));
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(29)), Step::Nothing);
    let again = Step::Send(NoticeKind::Problem);
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(30)), again, "the throttle is another matter");
    let acknowledged = Holds { acknowledged: true, ..none() };
    assert_eq!(notice.look(&terms, &acknowledged, Stands::Hard(CRITICAL), at(60)), Step::Nothing);
    let quiet = Holds { quiet: Some(vec![]), ..none() };
    let held = Step::Held(NoticeKind::Problem, Hold::QuietHours);
    assert_eq!(notice.look(&terms, &quiet, Stands::Hard(CRITICAL), at(61)), held);
    assert_eq!(notice.look(&terms, &none(), Stands::Soft(WARNING), at(70)), Step::Nothing);
    assert_eq!(notice.look(&terms, &none(), Stands::Hard(CRITICAL), at(71)), again);
    assert_eq!(notice.recovery(&terms, &none(), None, at(72)), Step::Send(NoticeKind::Recovery));
    assert!(!notice.waits(&terms));
}

#[test]
fn quiet_hours_let_the_states_pass_that_they_except() {
    let quiet = Holds { quiet: Some(vec![CRITICAL, AnyState::Host(HostState::Down)]), ..none() };
    let mut notice = Notice::default();
    let held = Step::Held(NoticeKind::Problem, Hold::QuietHours);
    assert_eq!(notice.problem(&TERMS, &quiet, told(WARNING, 0)), held);
    assert_eq!(notice.problem(&TERMS, &quiet, told(CRITICAL, 1)), Step::Send(NoticeKind::Problem));
    let mut host = Notice::default();
    let down = told(AnyState::Host(HostState::Down), 2);
    assert_eq!(host.problem(&TERMS, &quiet, down), Step::Send(NoticeKind::Problem));
}

#[test]
fn flapping_is_told_where_nothing_stands_in_the_way_and_its_end_to_the_same() {
    let flaps = Holds { flapping: true, ..none() };
    let mut notice = Notice::default();
    assert_eq!(notice.flapping(true, &flaps, WARNING), Step::Send(NoticeKind::FlappingStart));
    assert_eq!(notice.flapping(true, &flaps, WARNING), Step::Nothing);
    let held = Step::Held(NoticeKind::Problem, Hold::Flapping);
    assert_eq!(notice.problem(&TERMS, &flaps, told(CRITICAL, 0)), held);
    assert_eq!(notice.flapping(false, &none(), WARNING), Step::Send(NoticeKind::FlappingStop));
    assert_eq!(notice.look(&TERMS, &none(), Stands::Hard(CRITICAL), at(1)), Step::Send(NoticeKind::Problem));

    let mut quiet = Notice::default();
    let holds = Holds { quiet: Some(vec![]), flapping: true, ..none() };
    assert_eq!(quiet.flapping(true, &holds, WARNING), Step::Held(NoticeKind::FlappingStart, Hold::QuietHours));
    assert_eq!(quiet.flapping(false, &none(), WARNING), Step::Nothing, "they never heard of it");
}
