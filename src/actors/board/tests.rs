use super::*;

#[test]
fn a_host_behind_one_that_is_down_is_unreachable_and_no_attempt_of_its_own() {
    let board = Board::default();
    let (host, at) = (Name::parse("inner").unwrap(), |second: i64| Timestamp::from_millis(second * 1000).unwrap());
    board.host_up(&host, at(1));
    for second in [2, 3] {
        board.host_unreachable(&host, at(second), "its jump host bastion is down");
    }
    let status = board.host_status(&host).unwrap();
    assert_eq!((status.state, status.attempt), (Some(HostState::Unreachable), 0));
    assert_eq!((status.since, status.reason), (Some(at(2)), Some(Reason::Unreachable)));
    assert_eq!(status.message.as_deref(), Some("its jump host bastion is down"));
    let summary = board.summary(|_| true);
    assert_eq!((summary.hosts_unreachable, summary.hosts_down, summary.hosts_up), (1, 0, 0));
    board.host_up(&host, at(4));
    assert_eq!(board.host_status(&host).unwrap().since, Some(at(4)));
}
