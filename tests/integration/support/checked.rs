//! A task whose end a test decides, on a real host.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::service::{Service, until};
use super::sshd::Sshd;

/// A service with the host `web1` and the task `check`, which says and does what stands in files.
pub(crate) struct Checked {
    pub(crate) sshd: Sshd,
    pub(crate) service: Service,
}

impl Checked {
    pub(crate) fn start(settings: &[(&str, String)]) -> Self {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let checked = Self { sshd: Sshd::start(), service: Service::start_with(&settings) };
        checked.service.add_host(&checked.sshd);
        let labels = json!({"title": "First web server", "labels": {"role": "web", "data-center": "north 1"}});
        checked.service.send("PATCH", "hosts/web1", &labels).expect(200);
        let command =
            format!("cat '{0}'; exit $(cat '{1}')", checked.file("says").display(), checked.file("code").display());
        let task = json!({"command": command, "plugin": "nagios", "title": "The check", "labels": {"tier": "1"}});
        checked.service.add_task("check", "web1", task, None);
        checked.says(0, "OK - all is well");
        checked
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.sshd.dir().join(name)
    }

    /// What the check says and ends with from now on.
    pub(crate) fn says(&self, code: i32, text: &str) {
        std::fs::write(self.file("says"), text).unwrap();
        std::fs::write(self.file("code"), code.to_string()).unwrap();
    }

    /// Runs the check; its Result.
    #[track_caller]
    pub(crate) fn check(&self, code: i32, text: &str) -> Value {
        self.says(code, text);
        let result = self.service.run("check");
        assert_eq!(result["exit_code"], code, "{result}");
        result
    }

    /// Waits for so many Results of tasks that Actions have fired; whole, newest first.
    #[track_caller]
    pub(crate) fn fired(&self, count: u64) -> Vec<Value> {
        let items = until("what was fired", || {
            let page = self.service.get("results?trigger=action");
            (page["total"] == count).then(|| page["items"].as_array().unwrap().clone())
        });
        items.iter().map(|item| self.service.get(&format!("results/{}", item["id"].as_str().unwrap()))).collect()
    }
}
