use super::*;

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgIgVogMtw9f2XkrfrX2nUVbx3CKsBfam5HSE+eEvwy";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOyWTlNip8eGMwpYe0xsBg/V/zZOE1aRFnIyr7CJd7sx";

fn key(text: &str) -> PublicKey {
    text.parse().unwrap()
}

/// Keys and revoked keys a text has for a host, by letter.
fn looked_up(text: &str, address: &str, port: u16) -> (String, String) {
    let letters = |keys: &[PublicKey]| keys.iter().map(|k| if *k == key(A) { 'A' } else { 'B' }).collect();
    let found = lookup(text, address, port);
    assert_eq!(found.malformed, Vec::<usize>::new(), "{text}");
    (letters(&found.keys), letters(&found.revoked))
}

#[test]
fn lines_are_found_by_name_and_port() {
    let cases: &[(&str, &str, u16, &str)] = &[
        ("web1.example {A}", "web1.example", 22, "A"),
        ("web1.example {A}", "WEB1.example", 22, "A"),
        ("Web1.Example {A}", "web1.example", 22, "A"),
        ("web1.example {A}", "web1.example", 2222, ""),
        ("[web1.example]:2222 {A}", "web1.example", 2222, "A"),
        ("[web1.example]:2222 {A}", "web1.example", 22, ""),
        ("[::1]:2222 {A}", "::1", 2222, "A"),
        ("web1,192.0.2.1 {A}", "192.0.2.1", 22, "A"),
        ("*.example {A}", "web1.example", 22, "A"),
        ("*.example {A}", "example", 22, ""),
        ("web?.example {A}", "web1.example", 22, "A"),
        ("web?.example {A}", "web10.example", 22, ""),
        ("*.example,!web1.example {A}", "web1.example", 22, ""),
        ("!web1.example,*.example {A}", "web2.example", 22, "A"),
        ("* {A}\nweb1 {B}", "web1", 22, "AB"),
        ("web1\t{A}   a comment", "web1", 22, "A"),
        ("# web1 {A}\n\n  \nweb1 {B}", "web1", 22, "B"),
        ("@cert-authority * {A}", "web1", 22, ""),
        ("web1 {A}\r\n", "web1", 22, "A"),
    ];
    for (text, address, port, wanted) in cases {
        let text = text.replace("{A}", A).replace("{B}", B);
        assert_eq!(looked_up(&text, address, *port).0, *wanted, "{text} for {address}:{port}");
    }
}

#[test]
fn hashed_names_are_found() {
    // As `ssh-keygen -H` wrote them for web1.example and [web1.example]:2222.
    let text = format!(
        "|1|qMP8vowEGmQpLBSu8mH25FBOS9Q=|kLL9i6aqUJyMoWwtEcKkYrO8Gy0= {A}\n\
         |1|3Wiehr2L69lPpm0CB+nvRox6ZoQ=|+grh1kiwku5ycE0rq5WsYA8VcI0= {B}\n"
    );
    assert_eq!(looked_up(&text, "web1.example", 22).0, "A");
    assert_eq!(looked_up(&text, "web1.example", 2222).0, "B");
    assert_eq!(looked_up(&text, "web2.example", 22).0, "");
}

#[test]
fn revoked_keys_are_told_apart() {
    let text = format!("@revoked * {A}\nweb1 {B}");
    assert_eq!(looked_up(&text, "web1", 22), ("B".to_owned(), "A".to_owned()));
}

#[test]
fn lines_that_are_not_understood_are_counted_and_the_rest_is_used() {
    let text = format!("web1\nweb1 ssh-ed25519 !!!\n@what web1 {A}\nweb1 {B}");
    let found = lookup(&text, "web1", 22);
    assert_eq!(found.malformed, [1, 2, 3]);
    assert_eq!(found.keys, [key(B)]);
}

#[test]
fn a_key_is_judged_by_what_is_recorded() {
    let a = || vec![key(A)];
    let recorded = |keys, revoked| Recorded {
        keys,
        revoked,
        source: "its definition".to_owned(),
        revoked_in: "known_hosts".to_owned(),
    };
    let cases: &[(Recorded, HostKeyPolicy, Result<(), &str>)] = &[
        (recorded(a(), vec![]), HostKeyPolicy::AcceptNew, Ok(())),
        (recorded(a(), vec![]), HostKeyPolicy::Strict, Ok(())),
        (recorded(vec![], vec![]), HostKeyPolicy::AcceptNew, Ok(())),
        (recorded(vec![], vec![]), HostKeyPolicy::Strict, Err("not recorded")),
        (recorded(vec![key(B)], vec![]), HostKeyPolicy::AcceptNew, Err("has changed")),
        (recorded(vec![key(B)], vec![]), HostKeyPolicy::Strict, Err("has changed")),
        (recorded(vec![key(B), key(A)], vec![]), HostKeyPolicy::Strict, Ok(())),
        (recorded(vec![], a()), HostKeyPolicy::AcceptNew, Err("revoked")),
        (recorded(a(), a()), HostKeyPolicy::AcceptNew, Err("revoked")),
    ];
    for (recorded, policy, wanted) in cases {
        let judged = judge("web1", recorded, *policy, &key(A));
        match wanted {
            Ok(()) => assert_eq!(judged, Ok(()), "{recorded:?} {policy:?}"),
            Err(part) => {
                let detail = judged.unwrap_err();
                assert!(detail.contains(part), "{detail}");
                assert!(detail.contains(&key(A).fingerprint()), "shows what was offered: {detail}");
                assert!(
                    recorded.keys.iter().all(|k| recorded.revoked.contains(k) || detail.contains(&k.fingerprint()))
                );
                assert!(!detail.contains('\n'));
            }
        }
    }
}

#[tokio::test]
async fn files_that_are_not_there_record_nothing_and_unreadable_ones_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let known = dir.path().join("known_hosts");
    std::fs::write(&known, format!("web1 {A}\nweb1 {B}\n@revoked web1 {B}\n")).unwrap();
    let missing = dir.path().join("missing");
    let recorded = recorded_in(&[missing.clone(), known], "web1", 22).await.unwrap();
    assert_eq!(recorded.trusted().collect::<Vec<_>>(), [&key(A)]);
    assert_eq!(recorded.revoked, [key(B)]);
    assert!(recorded.source.ends_with("known_hosts"));
    assert_eq!(recorded_in(&[missing], "web1", 22).await, Ok(Recorded::default()));
    // A directory stands for all that is there and cannot be read; permissions do not stop root.
    let detail = recorded_in(&[dir.path().to_path_buf()], "web1", 22).await.unwrap_err();
    assert!(detail.contains("cannot read") && detail.contains("ssh.known_hosts"), "{detail}");
}
