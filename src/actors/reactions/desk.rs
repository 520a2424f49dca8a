//! One Action at work: who is told, what is held back, what is to be sent.

use chrono::TimeDelta;

use super::State;
use super::surroundings::{Surroundings, terms};
use crate::model::action::{Moment, On, RunOn, Then};
use crate::model::{
    Action, AnyState, Evaluated, Hold, Holds, HostState, Name, Notice, NoticeKey, NoticeKind, Notification,
    NotificationOutcome, Parcel, Recipient, RunId, RunIds, Stands, State as PairState, Step, Terms, Tiding, Told,
};

/// Most parcels of one Action that wait: what comes on top fails at once.
const MOST_PARCELS: usize = 10_000;
/// Most tidings that are joined into one.
const MOST_JOINED: usize = 1000;

/// One Action at work.
pub(super) struct Desk<'a> {
    pub(super) action: &'a Action,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) ids: &'a RunIds,
    pub(super) state: &'a mut State,
    /// What comes of it.
    pub(super) out: &'a mut Evaluated,
}

/// What is told of which host or task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) host: &'a Name,
    pub(super) task: Option<&'a Name>,
    pub(super) result: Option<RunId>,
}

impl Desk<'_> {
    /// Who is told of a host or task: the contacts that there are, or nobody in particular.
    pub(super) fn keys(&self, of: Subject<'_>) -> Vec<NoticeKey> {
        let key = |contact: Option<Name>| NoticeKey {
            action: self.action.meta.name.clone(),
            host: of.host.clone(),
            task: of.task.cloned(),
            contact,
        };
        let known = self.action.contacts.iter().filter(|name| self.around.catalog.contacts.contains_key(*name));
        let known = known.map(|name| key(Some(name.clone())));
        // An e-mail to addresses of its own is to nobody in particular.
        let others = match &self.action.then {
            Then::Email(email) => !email.to.is_empty(),
            _ => self.action.contacts.is_empty(),
        };
        others.then(|| key(None)).into_iter().chain(known).collect()
    }

    /// Who was told of it before, and is still to be told something.
    fn open(&self, of: Subject<'_>) -> Vec<NoticeKey> {
        let first = NoticeKey {
            action: self.action.meta.name.clone(),
            host: of.host.clone(),
            task: of.task.cloned(),
            contact: None,
        };
        let same = |key: &&NoticeKey| key.action == first.action && key.host == first.host && key.task == first.task;
        self.state.notices.range(&first..).map(|(key, _)| key).take_while(same).cloned().collect()
    }

    /// A PROBLEM that the Action is for.
    pub(super) fn problem(&mut self, of: Subject<'_>, state: AnyState) -> Vec<Recipient> {
        let told = Told { state, result: of.result, at: self.around.now };
        let mut recipients = Vec::new();
        for key in self.keys(of) {
            if let Some(unwanted) = self.unwanted(&key, state) {
                recipients.push(unwanted);
                continue;
            }
            if self.knows(&key, state) {
                let detail = "they were told of this state, and it has not been well since".to_owned();
                recipients.push(Recipient { detail, ..nothing(&key) });
                continue;
            }
            if self.was_told(&key, of.result) {
                let detail = "they were told of this Result when what stood in the way was gone".to_owned();
                recipients.push(Recipient { detail, ..nothing(&key) });
                continue;
            }
            let step = |notice: &mut Notice, terms: &Terms, holds: &Holds| notice.problem(terms, holds, told);
            recipients.push(self.step(&key, Some(state), of.result, step));
        }
        recipients
    }

    /// Whether they were told of a hard state that is entered once more, though it was never left: a host that is defined
    /// anew is connected to anew.
    fn knows(&self, key: &NoticeKey, state: AnyState) -> bool {
        let told = self.state.notices.get(key).and_then(|notice| notice.told);
        self.action.when.moment == Moment::On(On::Hard) && told.is_some_and(|told| told.state == state)
    }

    /// Whether this Result was in what they were told before its event came: what is owed is told as it stands then.
    fn was_told(&self, key: &NoticeKey, result: Option<RunId>) -> bool {
        let told = self.state.notices.get(key).and_then(|notice| notice.told);
        result.is_some() && told.is_some_and(|told| told.result == result)
    }

    /// Something that is no PROBLEM, told to all who did not just hear that it is over.
    pub(super) fn other(
        &mut self,
        of: Subject<'_>,
        kind: NoticeKind,
        state: Option<AnyState>,
        but: &[Recipient],
    ) -> Vec<Recipient> {
        let mut recipients = Vec::new();
        for key in self.keys(of) {
            if but.iter().any(|told| told.contact == key.contact && told.kind.is_some()) {
                continue;
            }
            if let Some(unwanted) = state.and_then(|state| self.unwanted(&key, state)) {
                recipients.push(unwanted);
                continue;
            }
            let step = |notice: &mut Notice, terms: &Terms, holds: &Holds| {
                notice.other(terms, holds, kind, state, self.around.now)
            };
            recipients.push(self.step(&key, state, of.result, step));
        }
        recipients
    }

    /// It flaps from now on, or no longer does.
    pub(super) fn flapping(&mut self, of: Subject<'_>, starts: bool, state: AnyState) -> Vec<Recipient> {
        let keys = if starts { self.keys(of) } else { self.open(of) };
        let step = |notice: &mut Notice, _: &Terms, holds: &Holds| notice.flapping(starts, holds, state);
        let told = keys.iter().map(|key| self.step(key, Some(state), of.result, step));
        told.filter(|told| told.kind.is_some()).collect()
    }

    /// What it was for is over: told to those who were told of it.
    pub(super) fn over(&mut self, of: Subject<'_>, state: Option<AnyState>) -> Vec<Recipient> {
        let now = self.around.now;
        let step = |notice: &mut Notice, terms: &Terms, holds: &Holds| notice.recovery(terms, holds, of.result, now);
        let told: Vec<Recipient> = self.open(of).iter().map(|key| self.step(key, state, of.result, step)).collect();
        told.into_iter().filter(|told| told.kind.is_some()).collect()
    }

    /// Time has passed, or what stood in the way may be gone.
    pub(super) fn look(&mut self, key: &NoticeKey, stands: Stands) {
        let (state, now) = match stands {
            Stands::Hard(state) | Stands::Soft(state) => (Some(state), self.around.now),
            Stands::Well if key.task.is_some() => (Some(AnyState::Task(PairState::Ok)), self.around.now),
            Stands::Well => (Some(AnyState::Host(HostState::Up)), self.around.now),
        };
        // What is wrong in a way that nobody asks for is not told; it may still become what they ask for.
        let stands = match stands {
            Stands::Hard(state) if !self.asks_for(key, state) => Stands::Soft(state),
            stands => stands,
        };
        let notice = self.state.notices.get(key).copied().unwrap_or_default();
        let newest = key.task.as_ref().and_then(|task| self.around.newest(&key.host, task));
        let result = newest.or(notice.owed.and_then(|owed| owed.result)).or(notice.lasting_result);
        let result = result.or(notice.told.and_then(|told| told.result));
        let step = |notice: &mut Notice, terms: &Terms, holds: &Holds| {
            let step = notice.look(terms, holds, stands, now);
            if let (Step::Send(NoticeKind::Problem), Some(told)) = (step, &mut notice.told) {
                told.result = result;
            }
            step
        };
        self.step(key, state, result, step);
    }

    /// How many PROBLEMs in a row there were, this one included; kept in a notice of its own.
    pub(super) fn count(&mut self, of: Subject<'_>, problem: bool, at_least: u32) -> u32 {
        let Some(key) = self.keys(of).into_iter().next() else { return 0 };
        let key = NoticeKey { contact: None, ..key };
        let mut notice = self.state.notices.get(&key).copied().unwrap_or_default();
        let before = notice.in_row;
        notice.in_row = if problem { (before + 1).max(at_least) } else { 0 };
        if notice.in_row != before {
            self.keep(&key, notice);
        }
        notice.in_row
    }

    /// Whether the Action and its contact ask for this state.
    fn asks_for(&self, key: &NoticeKey, state: AnyState) -> bool {
        let states = &self.action.when.states;
        (states.is_empty() || states.contains(&state)) && self.unwanted(key, state).is_none()
    }

    /// A contact that is not told of this state at all.
    fn unwanted(&self, key: &NoticeKey, state: AnyState) -> Option<Recipient> {
        let contact = self.around.catalog.contacts.get(key.contact.as_ref()?)?;
        (!contact.hears_of(state))
            .then(|| Recipient { detail: format!("notify_on of the contact does not hold {state}"), ..nothing(key) })
    }

    fn step(
        &mut self,
        key: &NoticeKey,
        state: Option<AnyState>,
        result: Option<RunId>,
        step: impl FnOnce(&mut Notice, &Terms, &Holds) -> Step,
    ) -> Recipient {
        let mut notice = self.state.notices.get(key).copied().unwrap_or_default();
        let holds = Holds { limited: self.is_limited(), ..self.around.holds(key) };
        let before = notice;
        let step = step(&mut notice, &terms(self.action), &holds);
        let told = Notification {
            id: self.ids.next(self.around.now),
            at: self.around.now,
            action: key.action.clone(),
            contact: key.contact.clone(),
            host: key.host.clone(),
            task: key.task.clone(),
            result,
            kind: NoticeKind::Custom,
            state,
            outcome: NotificationOutcome::Pending,
            reason: None,
            detail: String::new(),
            run: None,
        };
        let parcel = self.joined(&told).unwrap_or_else(|| self.ids.next(self.around.now));
        if notice.told.is_none() {
            notice.thread = None;
        } else if notice.thread.is_none() && matches!(step, Step::Send(_)) {
            notice.thread = Some(parcel);
        }
        if notice != before {
            self.keep(key, notice);
        }
        match step {
            Step::Nothing => {
                let waits = notice.lasting_since.is_some();
                let detail = if waits { "it has not lasted long enough yet" } else { "there is nothing to tell them" };
                Recipient { detail: detail.to_owned(), ..nothing(key) }
            }
            Step::Send(kind) => {
                let number = notice.number.max(before.number).max(1);
                let thread = before.thread.filter(|thread| *thread != parcel);
                self.send(parcel, Notification { kind, ..told }, number, thread)
            }
            Step::Held(kind, hold) => {
                let detail = words(hold, self.action, notice.owed.is_some());
                self.held(Notification { kind, reason: Some(hold), detail, ..told }, hold)
            }
            Step::Dropped(kind, hold) => {
                let detail = "it was over before it could be told".to_owned();
                let outcome = NotificationOutcome::Dropped;
                self.tell(Notification { kind, reason: Some(hold), outcome, detail, ..told })
            }
        }
    }

    fn keep(&mut self, key: &NoticeKey, notice: Notice) {
        let kept = (!notice.is_over(&terms(self.action), self.around.now)).then_some(notice);
        match kept {
            Some(notice) => drop(self.state.notices.insert(key.clone(), notice)),
            None => drop(self.state.notices.remove(key)),
        }
        self.out.notices.retain(|(other, _)| other != key);
        self.out.notices.push((key.clone(), kept));
    }

    fn held(&mut self, told: Notification, hold: Hold) -> Recipient {
        let throttled = matches!(hold, Hold::Throttle | Hold::Limit);
        let counts = self.state.counts.entry(told.action.clone()).or_default();
        *(if throttled { &mut counts.throttled } else { &mut counts.held }) += 1;
        let outcome = if throttled { NotificationOutcome::Throttled } else { NotificationOutcome::Held };
        self.tell(Notification { outcome, ..told })
    }

    fn tell(&mut self, told: Notification) -> Recipient {
        let recipient = Recipient {
            contact: told.contact.clone(),
            kind: Some(told.kind),
            outcome: Some(told.outcome),
            detail: told.detail.clone(),
            notification: Some(told.id),
            run: told.run,
        };
        self.out.notifications.push(told);
        recipient
    }

    /// Whether the Action has told as much as it may.
    fn is_limited(&self) -> bool {
        let (Some(limit), Some(sent)) = (self.action.limit, self.state.sent.get(&self.action.meta.name)) else {
            return false;
        };
        let within = TimeDelta::from_std(limit.within()).unwrap_or(TimeDelta::MAX);
        let recent = sent.iter().filter(|at| self.around.now.get() - at.get() < within).count();
        recent >= usize::try_from(limit.times()).unwrap_or(usize::MAX)
    }

    fn send(&mut self, parcel: RunId, told: Notification, number: u32, thread: Option<RunId>) -> Recipient {
        if let Some(limit) = self.action.limit {
            let sent = self.state.sent.entry(told.action.clone()).or_default();
            sent.push_back(self.around.now);
            while sent.len() > usize::try_from(limit.times()).unwrap_or(usize::MAX) {
                sent.pop_front();
            }
        }
        let tiding = Tiding {
            notification: told.id,
            kind: told.kind,
            state: told.state,
            host: told.host.clone(),
            task: told.task.clone(),
            result: told.result,
            at: told.at,
            number,
            thread,
        };
        match &self.action.then {
            Then::Run(fire) => {
                let on: Vec<Name> = match &fire.on {
                    RunOn::SameHost => vec![told.host.clone()],
                    RunOn::Host(host) => vec![host.clone()],
                    RunOn::Selected(selector) => {
                        let hosts = self.around.catalog.hosts.values();
                        let matches = hosts.filter(|host| selector.matches(host.meta.name.as_str(), &host.meta.labels));
                        let mut names: Vec<Name> = matches.map(|host| host.meta.name.clone()).collect();
                        names.sort();
                        names
                    }
                };
                let mut first = None;
                for (place, host) in on.into_iter().enumerate() {
                    let another = || self.ids.next(self.around.now);
                    let (parcel, id) = if place == 0 { (parcel, told.id) } else { (another(), another()) };
                    let detail = format!("task \"{}\" on host \"{host}\"", fire.task);
                    let tiding = Tiding { notification: id, ..tiding.clone() };
                    let told = Notification { id, detail, ..told.clone() };
                    let told = self.post(parcel, told, tiding, Some(host));
                    first.get_or_insert(told);
                }
                first.unwrap_or_else(|| {
                    let detail = "the selector matches no host".to_owned();
                    self.fail(told, detail)
                })
            }
            _ => match self.state.parcels.get_mut(&parcel) {
                Some(parcel) => {
                    parcel.tidings.push(tiding);
                    let parcel = parcel.clone();
                    self.out.parcels.retain(|other| other.id != parcel.id);
                    self.out.parcels.push(parcel);
                    self.tell(Notification { detail: "joined with others".to_owned(), ..told })
                }
                None => self.post(parcel, told, tiding, None),
            },
        }
    }

    /// The parcel that waits for more to tell the same one.
    fn joined(&self, told: &Notification) -> Option<RunId> {
        self.action.digest?;
        let fits = |parcel: &&Parcel| {
            parcel.action == told.action
                && parcel.contact == told.contact
                && parcel.due_at > self.around.now
                && parcel.attempts == 0
                && parcel.tidings.len() < MOST_JOINED
                && !self.state.in_delivery.contains_key(&parcel.id)
        };
        self.state.parcels.values().find(fits).map(|parcel| parcel.id)
    }

    fn post(&mut self, id: RunId, told: Notification, tiding: Tiding, on: Option<Name>) -> Recipient {
        if self.state.parcels.values().filter(|parcel| parcel.action == told.action).count() >= MOST_PARCELS {
            return self.fail(told, format!("{MOST_PARCELS} others are still to be sent"));
        }
        let wait = self.action.digest.filter(|_| on.is_none());
        let wait = wait.map_or(0, |span| i64::try_from(span.get().as_millis()).unwrap_or(i64::MAX));
        let parcel = Parcel {
            id,
            action: told.action.clone(),
            contact: told.contact.clone(),
            on,
            due_at: self.around.now.plus_millis(wait),
            attempts: 0,
            tidings: vec![tiding],
        };
        let run = parcel.on.is_some().then_some(parcel.id);
        self.state.parcels.insert(parcel.id, parcel.clone());
        self.out.parcels.push(parcel);
        self.tell(Notification { run, ..told })
    }

    fn fail(&mut self, told: Notification, detail: String) -> Recipient {
        log::warn!(action = told.action.as_str(), host = told.host.as_str(); "nobody is told: {detail}");
        self.state.counts.entry(told.action.clone()).or_default().failed += 1;
        self.tell(Notification { outcome: NotificationOutcome::Failed, detail, ..told })
    }
}

/// Nothing for a recipient.
fn nothing(key: &NoticeKey) -> Recipient {
    Recipient {
        contact: key.contact.clone(),
        kind: None,
        outcome: None,
        detail: String::new(),
        notification: None,
        run: None,
    }
}

/// What stands in the way, in words.
fn words(hold: Hold, action: &Action, owed: bool) -> String {
    let throttle = || action.throttle.map(|span| span.to_string()).unwrap_or_default();
    let limit = || action.limit.map(|limit| limit.to_string()).unwrap_or_default();
    let (what, until) = match hold {
        Hold::HostDown => ("its host is not UP".to_owned(), "it is"),
        Hold::Downtime => ("a downtime goes on".to_owned(), "its end"),
        Hold::Acknowledged => ("it is acknowledged".to_owned(), "that ends"),
        Hold::Flapping => ("it flaps".to_owned(), "it no longer does"),
        Hold::QuietHours => ("the contact has quiet hours".to_owned(), "their end"),
        Hold::Throttle => (format!("the same was told less than {} ago (throttle)", throttle()), "then"),
        Hold::Limit => (format!("as much was told as may be ({}, limit)", limit()), "more may be"),
    };
    if owed { format!("{what}: owed until {until}") } else { what }
}
