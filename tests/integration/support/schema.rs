//! Whether a document is what its schema says: as much of JSON Schema (2020-12) as Alf's OpenAPI document uses. What is
//! not known here fails, so that nothing goes unlooked at.

use regex::Regex;
use serde_json::Value;

/// Keywords that ask nothing of a document.
const WORDS: [&str; 9] =
    ["description", "examples", "default", "xml", "readOnly", "writeOnly", "deprecated", "format", "title"];

/// All that is wrong with a document, each with its place; `api` holds what schemas refer to.
pub(crate) fn faults(api: &Value, schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(api, schema, document, "", &mut found);
    found
}

fn check(api: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(rules) = schema else {
        assert!(schema.is_boolean(), "{at}: {schema} is no schema");
        if *schema == Value::Bool(false) {
            found.push(format!("{at}: is not allowed"));
        }
        return;
    };
    for (rule, wanted) in rules {
        match (rule.as_str(), value) {
            ("$ref", _) => {
                let place = wanted.as_str().unwrap().trim_start_matches('#');
                let there = api.pointer(place).unwrap_or_else(|| panic!("{at}: there is no {wanted}"));
                check(api, there, value, at, found);
            }
            ("type", _) => {
                let kinds = wanted.as_array().map_or_else(|| vec![wanted], |all| all.iter().collect());
                if !kinds.iter().any(|kind| is_a(kind.as_str().unwrap(), value)) {
                    found.push(format!("{at}: {value} is no {wanted}"));
                }
            }
            ("enum", _) if !wanted.as_array().unwrap().contains(value) => {
                found.push(format!("{at}: {value} is none of {wanted}"));
            }
            ("oneOf", _) => {
                let fits = |choice: &&Value| faults(api, choice, value).is_empty();
                let choices = wanted.as_array().unwrap();
                if choices.iter().filter(fits).count() != 1 {
                    let why: Vec<_> = choices.iter().map(|choice| faults(api, choice, value)).collect();
                    found.push(format!("{at}: {value} fits none of the choices, or several: {why:?}"));
                }
            }
            ("pattern", Value::String(text)) if !Regex::new(wanted.as_str().unwrap()).unwrap().is_match(text) => {
                found.push(format!("{at}: {text:?} does not match {wanted}"));
            }
            ("minLength", Value::String(text)) if (text.chars().count() as u64) < wanted.as_u64().unwrap() => {
                found.push(format!("{at}: {text:?} is shorter than {wanted}"));
            }
            ("maxLength", Value::String(text)) if text.chars().count() as u64 > wanted.as_u64().unwrap() => {
                found.push(format!("{at}: {text:?} is longer than {wanted}"));
            }
            ("minimum", Value::Number(number)) if number.as_f64() < wanted.as_f64() => {
                found.push(format!("{at}: {number} is less than {wanted}"));
            }
            ("maximum", Value::Number(number)) if number.as_f64() > wanted.as_f64() => {
                found.push(format!("{at}: {number} is more than {wanted}"));
            }
            ("items", Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    check(api, wanted, item, &format!("{at}/{index}"), found);
                }
            }
            ("required", Value::Object(fields)) => {
                let names = wanted.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                found.extend(names.filter(|name| !fields.contains_key(*name)).map(|name| format!("{at}: no {name}")));
            }
            ("properties", Value::Object(fields)) => {
                for (name, value) in fields {
                    if let Some(of) = wanted.get(name) {
                        check(api, of, value, &format!("{at}/{name}"), found);
                    }
                }
            }
            ("additionalProperties", Value::Object(fields)) => {
                let known = |name: &String| rules.get("properties").is_some_and(|all| all.get(name).is_some());
                for (name, value) in fields.iter().filter(|(name, _)| !known(name)) {
                    check(api, wanted, value, &format!("{at}/{name}"), found);
                }
            }
            ("propertyNames", Value::Object(fields)) => {
                for name in fields.keys() {
                    check(api, wanted, &Value::String(name.clone()), &format!("{at}/{name}"), found);
                }
            }
            (
                "enum"
                | "pattern"
                | "minLength"
                | "maxLength"
                | "minimum"
                | "maximum"
                | "items"
                | "required"
                | "properties"
                | "additionalProperties"
                | "propertyNames",
                _,
            ) => {}
            (other, _) => assert!(WORDS.contains(&other), "{at}: this check does not know {other}"),
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}
