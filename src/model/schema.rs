//! How values with a writing of their own are described to clients: the schemas of all that is a text in documents, or a
//! map of texts. What is made of fields derives its schema where it is declared.

use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::action::{Endpoint, MostOften, PerfCondition, RunOn, Spoof};
use super::nagios::Number;
use super::{
    ContentHash, CronLine, Days, Env, FinishBy, Labels, Limit, LineZone, Name, PublicKey, RunId, SecretField, Selector,
    Span, Splay, TextValue, TimeOfDay, Timestamp, Timezone,
};

/// A length of time; `none`, `auto` or a time of day may stand before it.
macro_rules! span {
    ($or:literal) => {
        concat!("^(", $or, "0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$")
    };
}

fn text(description: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).examples([example])
}

fn like(description: &str, example: &str, pattern: &str) -> ObjectBuilder {
    text(description, example).min_length(Some(1)).pattern(Some(pattern))
}

fn bounded(description: &str, example: &str, longest: usize) -> ObjectBuilder {
    text(description, example).min_length(Some(1)).max_length(Some(longest))
}

macro_rules! schemas {
    ($($type:ident: $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }
        impl ToSchema for $type {}
    )*};
}

schemas! {
    Name: like(
        "The name of a definition, its key and its place in the URL. Only those of host-tasks and task-schedules may hold @ \
         and more than 128 characters. preview and same-host are reserved.",
        "web1",
        "^[A-Za-z0-9][A-Za-z0-9._@-]{0,256}$",
    );
    Span: like("A length of time: 250ms, 90s, 5m, 1h30m or 2d.", "1h30m", span!(""));
    Limit: like("A length of time, such as 90s or 1h30m, or none.", "5m", span!("none|"));
    Splay: like("A length of time, such as 90s, or auto.", "auto", span!("auto|"));
    FinishBy: like(
        "A time of day such as 06:00, or a length of time after the instant such as 5h.",
        "06:00",
        span!("([01][0-9]|2[0-3]):[0-5][0-9]|"),
    );
    Timestamp: text("An instant: RFC 3339; shown in UTC with milliseconds.", "2026-11-23T09:30:00.000Z")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    RunId: text("The id of a run and of its Result: a UUIDv7.", "01a20867-2305-7000-a80f-36c3e8703ee2")
        .format(Some(SchemaFormat::Custom("uuid".to_owned())));
    Selector: bounded(
        "Which hosts, by their labels: role=web,env!=dev,tier,!old,zone in (a,b),zone notin (c),@name=web1; * is all.",
        "role=web,env!=dev",
        4096,
    );
    CronLine: bounded(
        "A line of crontab(5), six fields with leading seconds, @daily and the like, or @every 90s.",
        "30 6 * * mon-fri",
        1024,
    );
    Timezone: bounded("The name of a zone in the IANA database.", "Europe/Berlin", 64);
    LineZone: bounded("The name of a zone in the IANA database, or host for each host's own.", "host", 64);
    PublicKey: bounded(
        "A public key in OpenSSH's form, on one line.",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rJ4N8sZDmX0BdOWPYsTNWyZfzT/LKPv1yHuK7M4ys",
        65_536,
    );
    ContentHash: like(
        "SHA-256 in hexadecimal.",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "^[0-9a-f]{64}$",
    );
    Labels: map(
        "A map of free text; no key holds any of ,=!()@. In XML: <entry key=\"role\">web</entry> for each.",
        None,
        ObjectBuilder::new().schema_type(Type::String).build(),
    );
    Env: map(
        "Environment variables. In XML: <entry key=\"LANG\">C</entry> for each.",
        Some("^[A-Za-z_][A-Za-z0-9_]*$"),
        Ref::from_schema_name(TextValue::<String>::name()),
    );
    TextValue: OneOfBuilder::new()
        .description(Some("A text, or {\"secret\": NAME}: that of a secret."))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(of_secret());
    SecretField: OneOfBuilder::new()
        .description(Some(
            "Written as text, or as {\"secret\": NAME} where a secret may be named; a text is shown as {\"set\": true}, and \
             stays where that is sent back.",
        ))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(set())
        .item(of_secret());
    Days: like(
        "Days of the week: names and ranges of them.",
        "mon-fri,sun",
        "^[A-Za-z, -]{3,}$",
    );
    TimeOfDay: like("A time of day.", "22:00", "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$");
    MostOften: like("How often at most: so many times in s, m, h or d; or none.", "10/h", "^([0-9]+/[smhd]|none)$");
    PerfCondition: bounded(
        "A label (in quotes where it holds spaces), one of > >= < <= == !=, and a number, with or without its unit.",
        "load1 > 5",
        512,
    );
    Endpoint: bounded("HOST, HOST:PORT or [IPV6]:PORT.", "graphite.example.org:2003", 300);
    RunOn: OneOfBuilder::new()
        .description(Some("same-host, the name of a host, or {\"selector\": SELECTOR}."))
        .item(ObjectBuilder::new().schema_type(Type::String))
        .item(only("selector", Ref::from_schema_name(Selector::name())));
    Spoof: OneOfBuilder::new()
        .description(Some("true, false, or IP:NAME."))
        .item(ObjectBuilder::new().schema_type(Type::Boolean))
        .item(ObjectBuilder::new().schema_type(Type::String));
    Number: ObjectBuilder::new().schema_type(Type::Number).description(Some("A finite number."));
}

fn map(description: &str, keys: Option<&str>, values: impl Into<RefOr<Schema>>) -> Object {
    let keys = keys.map(|pattern| ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build());
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .property_names(keys.map(Schema::from))
        .additional_properties(Some(AdditionalProperties::RefOr(values.into())))
        .build()
}

/// An object of this one field.
fn only(name: &str, value: impl Into<RefOr<Schema>>) -> ObjectBuilder {
    let closed = AdditionalProperties::FreeForm(false);
    let object = ObjectBuilder::new().schema_type(Type::Object).property(name, value).required(name);
    object.additional_properties(Some(closed))
}

fn set() -> ObjectBuilder {
    only("set", ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true])))
}

fn of_secret() -> ObjectBuilder {
    only("secret", Ref::from_schema_name(Name::name()))
}
