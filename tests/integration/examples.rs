//! The files of `config/examples/` are what they say: whole, legal, and without a name that is not there.

use std::path::Path;
use std::sync::Arc;

use alf::model::{
    Action, Catalog, Catalogued, Contact, Credential, Defaults, Downtime, Host, HostTask, Noun, Schedule, Secrets,
    Task, TaskSchedule,
};

/// Reads the file of a noun into the catalog, as `alf NOUN create -f FILE` would.
fn create<T: Catalogued>(catalog: &mut Catalog) {
    let name = format!("config/examples/{}.yaml", T::NOUN.url());
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)).unwrap();
    let documents: Vec<T::Document> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!documents.is_empty(), "{name} is empty");
    for document in documents {
        let missing = catalog.missing(T::named_in(&document));
        let definition = T::check(document, &Secrets::new(), &Defaults::default());
        let definition = T::any(Arc::new(definition.unwrap_or_else(|faults| panic!("{name}: {faults:?}"))));
        let what = definition.reference();
        assert_eq!(missing, [], "{name}: {what}");
        assert!(!catalog.contains(what.noun, &what.name), "{name}: {what} is there twice");
        catalog.insert(definition);
    }
}

fn examples() -> Catalog {
    let mut catalog = Catalog::default();
    create::<Credential>(&mut catalog);
    create::<Host>(&mut catalog);
    create::<Task>(&mut catalog);
    create::<Schedule>(&mut catalog);
    create::<HostTask>(&mut catalog);
    create::<TaskSchedule>(&mut catalog);
    create::<Downtime>(&mut catalog);
    create::<Contact>(&mut catalog);
    create::<Action>(&mut catalog);
    catalog
}

#[test]
fn no_example_is_left_unread() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut found: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    // A key is made by the service, a program is a file of its own, and a secret's value is to be in no file.
    let written = |noun: &&Noun| !matches!(noun, Noun::Key | Noun::Program | Noun::Secret);
    let mut read: Vec<String> = Noun::ALL.iter().filter(written).map(|noun| format!("{}.yaml", noun.url())).collect();
    // Applied whole by a test of its own.
    read.push("classic.yaml".to_owned());
    read.sort();
    assert_eq!(found, read, "every file of config/examples/ is named for its noun and read here");
}

#[test]
fn every_example_task_is_due_on_every_example_host() {
    let catalog = examples();
    assert_eq!((catalog.hosts.size(), catalog.tasks.size()), (3, 7));
    for host in catalog.hosts.values() {
        let tasks: Vec<String> = catalog.tasks_of(host).iter().map(|(task, _)| task.meta.name.to_string()).collect();
        assert_eq!(tasks, ["backup-age", "heartbeat", "load", "report", "slow", "worker"], "{}", host.meta.name);
        for (task, _) in catalog.tasks_of(host) {
            let lines = catalog.lines_of(&task.meta.name, host).len();
            let both = task.meta.name.as_str() == "backup-age" && host.meta.name.as_str() == "db1";
            assert_eq!(lines, if both { 2 } else { 1 }, "lines of {} on {}", task.meta.name, host.meta.name);
        }
    }
}

/// Checks all definitions of a noun in a document of many.
fn check_all<T: Catalogued>(document: &serde_json::Value, file: &str) -> usize {
    let list = document[T::NOUN.url().replace('-', "_")].as_array().cloned().unwrap_or_default();
    for one in &list {
        let parsed: T::Document =
            serde_json::from_value(one.clone()).unwrap_or_else(|error| panic!("{file}: {error} in {one}"));
        T::check(parsed, &Secrets::new(), &Defaults::default()).unwrap_or_else(|faults| panic!("{file}: {faults:?}"));
    }
    list.len()
}

#[test]
fn what_the_documentation_shows_of_actions_is_legal() {
    for (name, least) in [("docs/actions.md", 5), ("docs/nagios.md", 2)] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let mut actions = 0;
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let document: serde_json::Value =
                serde_saphyr::from_str(block).unwrap_or_else(|error| panic!("{name}: {error} in {block}"));
            actions += check_all::<Action>(&document, name);
            check_all::<Task>(&document, name);
            check_all::<HostTask>(&document, name);
            check_all::<TaskSchedule>(&document, name);
        }
        assert!(actions >= least, "{name}: {actions}");
    }
}
