//! The schemas of all documents, as their Rust types give them, with what XML has to know; and documents as examples in
//! both forms.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::about::{Shape, Shapes};

/// Where schemas are in the document.
const PLACE: &str = "#/components/schemas/";

/// The name of a schema: that of its Rust type, but for an ending that says nothing to clients.
pub fn name_of(shape: &str) -> &str {
    shape.strip_suffix("Document").unwrap_or(shape)
}

/// A reference to a schema.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PLACE}{}", name_of(name))})
}

/// All schemas, by name.
pub struct Schemas {
    all: BTreeMap<String, Value>,
    /// Names that stand for more than one schema; a test finds none.
    pub twice: BTreeSet<String>,
}

impl Schemas {
    /// Those of these types and of all they are made of.
    pub fn of<'a>(shapes: impl Iterator<Item = &'a Shape>) -> Self {
        let mut gathered: Shapes = Vec::new();
        let mut seen = BTreeSet::new();
        for shape in shapes.filter(|shape| seen.insert(shape.name.clone())) {
            (shape.gather)(&mut gathered);
        }
        let mut schemas = Self { all: BTreeMap::new(), twice: BTreeSet::new() };
        for (name, schema) in gathered {
            let mut schema = serde_json::to_value(schema).unwrap_or_default();
            adapt(&mut schema);
            schemas.add(name_of(&name), schema);
        }
        schemas
    }

    /// Adds a schema.
    pub fn add(&mut self, name: &str, schema: Value) {
        match self.all.get(name) {
            Some(other) if *other != schema => drop(self.twice.insert(name.to_owned())),
            Some(_) => {}
            None => drop(self.all.insert(name.to_owned(), schema)),
        }
    }

    /// As they stand in the document.
    pub fn into_value(self) -> Value {
        json!(self.all)
    }

    /// What a schema comes to: behind references, and without the choice of null.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|place| place.strip_prefix(PLACE)) {
            return self.all.get(name).map_or(&Value::Null, |schema| self.resolve(schema));
        }
        let choices = schema["oneOf"].as_array();
        match choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null")) {
            Some(choice) => self.resolve(choice),
            None => schema,
        }
    }

    /// A document as it may be sent: without what only Alf sets, without nulls, secrets as new ones.
    pub fn writable(&self, example: &Value, schema: &Value) -> Value {
        if *example == json!({"set": true}) {
            return json!("a text that is never shown");
        }
        let (Value::Object(fields), schema) = (example, self.resolve(schema)) else { return example.clone() };
        let written = fields.iter().filter_map(|(name, value)| {
            let of = &schema["properties"][name];
            let shown_only = of["readOnly"] == true || value.is_null();
            (!shown_only).then(|| (name.clone(), self.writable(value, of)))
        });
        Value::Object(written.collect())
    }
}

/// What utoipa leaves out: names without their ending, and how arrays are written in XML.
fn adapt(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // No default at all is not null.
            fields.retain(|name, value| name != "default" || !value.is_null());
            if let Some(Value::String(place)) = fields.get_mut("$ref") {
                *place = name_of(place).to_owned();
            }
            let is_array =
                |kind: &Value| *kind == "array" || kind.as_array().is_some_and(|all| all.contains(&json!("array")));
            if fields.get("type").is_some_and(is_array) {
                fields.insert("xml".to_owned(), json!({"wrapped": true}));
                if let Some(Value::Object(items)) = fields.get_mut("items") {
                    items.insert("xml".to_owned(), json!({"name": "item"}));
                }
            }
            fields.values_mut().for_each(adapt);
        }
        Value::Array(items) => items.iter_mut().for_each(adapt),
        _ => {}
    }
}

/// A document by its schema, which tells a map from an object with fields: in XML they differ.
pub struct Sample<'a> {
    /// The document.
    pub value: &'a Value,
    /// Its schema.
    pub schema: &'a Value,
    /// All schemas.
    pub schemas: &'a Schemas,
}

impl Sample<'_> {
    fn within<'a>(&'a self, value: &'a Value, schema: &'a Value) -> Sample<'a> {
        Sample { value, schema, schemas: self.schemas }
    }

    fn map<S: Serializer>(&self, fields: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
        let schema = self.schemas.resolve(self.schema);
        let of_fields = schema["properties"].is_object();
        // Of unknown length: the fields of a struct, for the writer of XML.
        let mut map = serializer.serialize_map((!of_fields).then_some(fields.len()))?;
        for (name, value) in fields {
            let of = if of_fields { &schema["properties"][name] } else { &schema["additionalProperties"] };
            map.serialize_entry(name, &self.within(value, of))?;
        }
        map.end()
    }
}

impl Serialize for Sample<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(fields) => self.map(fields, serializer),
            Value::Array(items) => {
                let schema = self.schemas.resolve(self.schema);
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&self.within(item, &schema["items"]))?;
                }
                list.end()
            }
            Value::Null => serializer.serialize_none(),
            other => other.serialize(serializer),
        }
    }
}
