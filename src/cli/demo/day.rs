//! The story: what happens on this day, act by act.

use super::application::Exchange;
use super::company::{
    ACME, ADMINS, BRIGHTLAB, BRIGHTLAB_ADMINS, ENGINEERING, FINANCE, Group, MARIA, NOOR, OMAR, ON_CALL,
    PRIYA, Person, TOM, ZOE,
};
use super::event::{Event, User};
use super::files;
use super::stage::{SINKS, Stage};
use crate::cli::{Failure, status};

/// How many updates of one user come while the application is down.
pub(super) const UPDATES: usize = 100;

/// The stores that are up all day.
const UP: [&str; 2] = ["tables", "ldap"];

/// Plays the day, and returns what the application was asked after it had been down.
pub(super) async fn play(stage: &mut Stage) -> Result<Vec<Exchange>, Failure> {
    connect(stage).await?;
    let priya = join(stage).await?;
    repeat(stage, &priya).await?;
    change_roles(stage).await?;
    arrive_out_of_order(stage).await?;
    go_down(stage).await?;
    leave(stage).await?;
    come_back(stage).await
}

async fn connect(stage: &mut Stage) -> Result<(), Failure> {
    let text = "Acme's directory is Okta, and its events have the documented shape. Brightlab's is \
        Google Workspace, and its events have the simpler shape of an older guide. Both have a group named \
        Admins.";
    stage.narrator.act("08:00", "Two companies connect their directories", text).await?;
    let journal = &mut stage.journal;
    let events = [
        journal.directory_enabled(&ACME, "08:00:00"),
        journal.group_created(&ENGINEERING, "08:00:01"),
        journal.group_created(&ON_CALL, "08:00:01"),
        journal.group_created(&FINANCE, "08:00:01"),
        journal.group_created(&ADMINS, "08:00:01"),
        journal.directory_enabled(&BRIGHTLAB, "08:02:00"),
        journal.group_created(&BRIGHTLAB_ADMINS, "08:02:01"),
    ];
    send_and_show(stage, &events).await
}

/// Returns one of the events, to be sent once more.
async fn join(stage: &mut Stage) -> Result<Event, Failure> {
    let text = "At Acme each person comes with their groups. At Brightlab the people come first, and \
        the group says afterwards who is in it. The rules turn groups into roles; the one about Admins is \
        for Acme alone, so Brightlab's admins do not become admins:";
    stage.narrator.act("08:45", "Six people join", text).await?;
    files::rules().try_for_each(|line| stage.narrator.say(&format!("    {line}")))?;
    stage.narrator.say("")?;
    let journal = &mut stage.journal;
    let priya = journal.user_created(acme(&PRIYA, "Accountant", 3, &[&FINANCE]), "08:45:03");
    let events = [
        journal.user_created(acme(&MARIA, "SRE", 1, &[&ENGINEERING, &ON_CALL]), "08:45:01"),
        journal.user_created(acme(&ZOE, "Developer", 2, &[&ENGINEERING]), "08:45:02"),
        priya.clone(),
        journal.user_created(acme(&OMAR, "IT Lead", 4, &[&ENGINEERING, &ADMINS]), "08:45:04"),
        journal.user_created(brightlab(&NOOR, "Founder"), "08:50:00"),
        journal.user_created(brightlab(&TOM, "Contractor"), "08:50:00"),
        journal.joined(&BRIGHTLAB_ADMINS, &[&NOOR, &TOM], "08:51:00"),
    ];
    send_and_show(stage, &events).await?;
    Ok(priya)
}

async fn repeat(stage: &mut Stage, event: &Event) -> Result<(), Failure> {
    let text = "Scalekit did not see the answer to one message and sends it again: it is known, and \
        nothing happens. Somebody else sends one too, without knowing the secret: it is refused.";
    stage.narrator.act("09:10", "A message comes twice, and a forged one", text).await?;
    stage.send(event).await?;
    stage.forge(event).await?;
    stage.settled(&SINKS).await?;
    stage.changes()
}

async fn change_roles(stage: &mut Stage) -> Result<(), Failure> {
    let text = "Priya moves from Finance to Engineering, and Zoë joins the platform team on call. \
        Roles go and come with the groups.";
    stage.narrator.act("10:30", "Two people change teams", text).await?;
    let journal = &mut stage.journal;
    let priya = acme(&PRIYA, "Developer", 3, &[&ENGINEERING]);
    let zoe = acme(&ZOE, "Developer", 2, &[&ENGINEERING, &ON_CALL]);
    let events = [
        journal.user_updated(priya, "10:30:00", "Finance → Engineering"),
        journal.user_updated(zoe, "10:31:00", "+platform-on-call"),
    ];
    send_and_show(stage, &events).await
}

async fn arrive_out_of_order(stage: &mut Stage) -> Result<(), Failure> {
    let text = "Tom's contract ended at 11:15. Afterwards an older update of his arrives, of 11:05, \
        which was delayed on its way. It counts as of its own time, so it does not bring him back.";
    stage.narrator.act("11:15", "Two events arrive in the wrong order", text).await?;
    let journal = &mut stage.journal;
    let update =
        journal.user_updated(brightlab(&TOM, "Senior Contractor"), "11:05:00", "another title, as of 11:05");
    let gone = journal.user_deleted(&TOM, "11:15:00", "gone, as of 11:15");
    stage.send(&gone).await?;
    stage.settled(&SINKS).await?;
    stage.send(&update).await?;
    stage.settled(&SINKS).await?;
    stage.changes()
}

async fn go_down(stage: &mut Stage) -> Result<(), Failure> {
    let text = "The first delivery that fails opens the breaker: until the application is well again, \
        it is only asked for its health now and then. Meanwhile Priya gets another desk, and a script that \
        books desks updates Maria a hundred times. The other two stores do not wait for the application.";
    stage.narrator.act("12:30", "The application goes down for a while", text).await?;
    stage.application.set_down(true);
    stage.narrator.say("  The application answers 503 from now on.")?;
    let priya = acme(&PRIYA, "Developer", 33, &[&ENGINEERING]);
    let event = stage.journal.user_updated(priya, "12:30:00", "another desk");
    stage.send(&event).await?;
    stage.application_is_down().await?;
    let mut events = Vec::new();
    for n in 0..UPDATES {
        let maria = acme(&MARIA, "SRE", n, &[&ENGINEERING, &ON_CALL]);
        let at = format!("12:{}:{:02}", 40 + n / 60, n % 60);
        events.push(stage.journal.user_updated(maria, &at, "another desk"));
    }
    stage.send_all(&events, "Maria Lopez: another desk, each time").await?;
    stage.settled(&UP).await?;
    stage.changes()
}

async fn leave(stage: &mut Stage) -> Result<(), Failure> {
    let text = "Omar, who is an admin, leaves Acme while the application is still down. Tables and LDAP \
        take his access away at once; in LDAP that is a lock (pwdAccountLockedTime).";
    stage.narrator.act("13:05", "An admin leaves in the middle of it", text).await?;
    let omar = User { active: false, ..acme(&OMAR, "IT Lead", 4, &[&ENGINEERING, &ADMINS]) };
    let event = stage.journal.user_updated(omar, "13:05:00", "no longer active");
    stage.send(&event).await?;
    stage.settled(&UP).await?;
    stage.changes()?;
    let shown = status::render(&stage.status().await?, Some(stage.narrator.width() - 4));
    stage.narrator.say("")?;
    stage.narrator.command("rolecall status", &shown)
}

async fn come_back(stage: &mut Stage) -> Result<Vec<Exchange>, Failure> {
    let text = "Three users wait, and they are not brought up to date in the order in which they came \
        to wait: Omar is first, because he must lose his access. Maria's hundred updates are one request, \
        with what is true now.";
    stage.narrator.act("13:20", "The application is back", text).await?;
    let before = stage.requests().len();
    stage.application.set_down(false);
    stage.narrator.say("  The application answers 200 again.")?;
    stage.settled(&SINKS).await?;
    let requests = stage.requests().split_off(before);
    let name = |request: &Exchange| {
        let person = [&OMAR, &PRIYA, &MARIA].into_iter().find(|person| Some(person.id) == request.user());
        person.map(|person| person.given_name)
    };
    let order: Vec<&str> = requests.iter().filter_map(name).collect();
    let maria = order.iter().filter(|name| **name == MARIA.given_name).count();
    stage.changes()?;
    let order = order.join(", ");
    let text = format!("\n  In this order: {order}. Maria's updates: {UPDATES}; requests for them: {maria}.");
    stage.narrator.say(&text)?;
    Ok(requests)
}

async fn send_and_show(stage: &mut Stage, events: &[Event]) -> Result<(), Failure> {
    for event in events {
        stage.send(event).await?;
    }
    stage.settled(&SINKS).await?;
    stage.changes()
}

/// Somebody at Acme, with the number of their desk.
fn acme(person: &'static Person, title: &'static str, desk: usize, groups: &[&'static Group]) -> User {
    User { person, title, desk: Some(desk), groups: groups.to_vec(), active: true }
}

/// Somebody at Brightlab, where events say neither groups nor desks.
fn brightlab(person: &'static Person, title: &'static str) -> User {
    User { person, title, desk: None, groups: Vec::new(), active: true }
}
