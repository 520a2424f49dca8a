//! Documents that are put together of others, as no single type is: their schemas.

use utoipa::openapi::schema::{AdditionalProperties, Array, Object, ObjectBuilder, Ref};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::super::start::NOT_AD_HOC;
use super::about::Shapes;
use crate::for_each_noun;
use crate::model::{
    Action, Contact, Credential, Definition, Downtime, GivenDocument, Host, HostTask, Key, KeyDocument, Program,
    Schedule, Secret, Selector, Task, TaskDocument, TaskSchedule,
};

/// A task as it is run ad hoc, with what is given to the run.
pub struct AdHoc;
/// The same on all hosts of a selector.
pub struct AdHocOnMany;
/// What is given to a run of a task on all hosts of a selector.
pub struct RunOnMany;
/// A key as it is shown once, with the secret itself.
pub struct NewKey;
/// Definitions of many kinds.
pub struct Definitions;

macro_rules! made_of {
    ($($kind:ident: $of:ty, $schema:expr;)*) => {$(
        impl PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }
        impl ToSchema for $kind {
            fn schemas(shapes: &mut Shapes) {
                <$of>::schemas(shapes);
                shapes.push((Selector::name().into_owned(), Selector::schema()));
            }
        }
    )*};
}

made_of! {
    AdHoc: TaskDocument, ad_hoc();
    AdHocOnMany: TaskDocument, on_many(ad_hoc());
    RunOnMany: GivenDocument, on_many(fields_of::<GivenDocument>());
    NewKey: KeyDocument, new_key();
}

fn fields_of<T: PartialSchema>() -> Object {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::new(),
    }
}

fn ad_hoc() -> Object {
    let mut object = fields_of::<TaskDocument>();
    for name in NOT_AD_HOC {
        object.properties.remove(name);
    }
    object.properties.remove("updated_at");
    object.properties.extend(fields_of::<GivenDocument>().properties);
    object.description = Some("Something to run once: what a task says of it, and what is given.".to_owned());
    object
}

fn on_many(mut object: Object) -> Object {
    object.properties.insert("selector".to_owned(), RefOr::Ref(Ref::from_schema_name(Selector::name())));
    object.required.push("selector".to_owned());
    object
}

fn new_key() -> Object {
    let mut object = fields_of::<KeyDocument>();
    object.properties.insert("key".to_owned(), String::schema());
    object.required.push("key".to_owned());
    object.description = Some("A key, and the secret itself, which is shown only here.".to_owned());
    object
}

impl PartialSchema for Definitions {
    fn schema() -> RefOr<Schema> {
        let mut all = ObjectBuilder::new()
            .description(Some("Definitions of many kinds, as an export shows them and an apply takes them."))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        macro_rules! each {
            ($($kind:ident $field:ident),*) => {
                $(all = all.property(
                    stringify!($field),
                    Array::new(Ref::from_schema_name(<$kind as Definition>::Document::name())),
                );)*
            };
        }
        for_each_noun!(each);
        RefOr::T(all.into())
    }
}

impl ToSchema for Definitions {
    fn schemas(shapes: &mut Shapes) {
        macro_rules! each {
            ($($kind:ident $field:ident),*) => {
                $((super::about::shape::<<$kind as Definition>::Document>().gather)(shapes);)*
            };
        }
        for_each_noun!(each);
    }
}
