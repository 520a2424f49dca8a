use super::*;

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Each call: path, method, description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let of = |(path, methods): (&String, &Value)| {
        let path = path.clone();
        let methods = methods.as_object().unwrap().clone();
        methods.into_iter().map(move |(method, described)| (path.clone(), method, described))
    };
    document["paths"].as_object().unwrap().iter().flat_map(of).collect()
}

#[test]
fn every_route_is_described_and_nothing_else_is() {
    let mut calls: Vec<(String, String)> =
        calls::calls().into_iter().map(|about| (about.path, about.method.to_string())).collect();
    let mut routed: Vec<(String, String)> =
        routes().iter().flat_map(|at| at.methods.iter().map(|served| (at.path(), served.method.to_string()))).collect();
    calls.sort();
    routed.sort();
    let missing: Vec<_> = routed.iter().filter(|call| !calls.contains(call)).collect();
    assert!(missing.is_empty(), "routed, but not described in src/http/openapi/calls.rs: {missing:?}");
    assert_eq!(calls, routed, "described, but not routed, or twice");
    assert_eq!(operations(&document()).len(), routed.len());
}

#[test]
fn every_query_parameter_of_every_route_is_known() {
    for at in routes() {
        for served in &at.methods {
            for name in served.endpoint.query.unwrap_or_default() {
                let known = parameters::query(name, &at.path());
                assert!(known.is_some(), "{} {}?{name}=: say in parameters.rs what that is", served.method, at.path());
            }
        }
    }
}

#[test]
fn every_call_has_answers_problems_and_examples_in_both_forms() {
    let document = document();
    let mut ids = Vec::new();
    for (path, method, call) in operations(&document) {
        let what = format!("{method} {path}");
        ids.push(call["operationId"].clone());
        assert!(call["summary"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        let responses = call["responses"].as_object().unwrap();
        let good = responses.keys().any(|status| status.starts_with('2'));
        assert!(good || what == "post /api/v1/programs", "{what} has no good answer");
        for needed in ["400", "422"] {
            assert!(responses.contains_key(needed), "{what} has no {needed}");
        }
        let open = call["security"] == json!([]);
        assert_eq!(open, call["x-alf-role"].is_null(), "{what}");
        assert_eq!(open, !responses.contains_key("401"), "{what}");
        let contents = responses.values().chain([&call["requestBody"]]).filter_map(|one| one["content"].as_object());
        for content in contents {
            let is = |kind: &str| content.contains_key(kind);
            let patch = is("application/merge-patch+json");
            assert!(path.starts_with("/openapi") || is("application/json") == is("application/xml") || patch, "{what}");
            for (kind, media) in content {
                let example = &media["example"];
                assert!(!example.is_null() && *example != "", "{what}: no example as {kind}; is it in examples.json?");
                assert!(!media["schema"].is_null(), "{what}: no schema of {kind}");
            }
        }
    }
    let all = ids.len();
    ids.sort_by_key(ToString::to_string);
    ids.dedup();
    assert_eq!(ids.len(), all, "two calls have one operationId");
    for (name, problem) in document["components"]["responses"].as_object().unwrap() {
        for kind in ["application/problem+json", "application/problem+xml"] {
            assert!(!problem["content"][kind]["example"].is_null(), "{name} as {kind}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_name_stands_for_one_schema() {
    assert_eq!(
        schemas_of(&calls::calls()).twice,
        Default::default(),
        "two types of one name: give one a schema(as = …)"
    );
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 200, "only {} references", found.len());
    for place in found {
        let pointer = place.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{place} is not there");
    }
}

#[test]
fn examples_of_requests_are_read_as_they_stand_in_both_forms() {
    use crate::http::format::{parse_json, parse_xml, read_document};
    use crate::model::{
        Action, Catalogued, Contact, Credential, Defaults, Downtime, Host, HostTask, Schedule, Secret, Secrets, Task,
        TaskSchedule,
    };

    fn check<T: Catalogued>(document: &Value) {
        let call = &document["paths"][format!("/api/v1/{}", T::NOUN.url())]["post"]["requestBody"]["content"];
        let json = call["application/json"]["example"].to_string();
        let xml = call["application/xml"]["example"].as_str().unwrap();
        let mut read = Vec::new();
        for tree in [parse_json(json.as_bytes()), parse_xml(xml.as_bytes(), T::NOUN.singular())] {
            let (one, faults) = read_document::<T::Document>(&mut tree.unwrap());
            assert!(faults.is_empty(), "{}: {faults:?}", T::NOUN);
            read.push(T::check(one.unwrap(), &Secrets::new(), &Defaults::default()).unwrap());
        }
        assert_eq!(read[0], read[1], "{} is not the same in JSON and in XML", T::NOUN);
    }
    let document = document();
    check::<Secret>(&document);
    check::<Credential>(&document);
    check::<Host>(&document);
    check::<Task>(&document);
    check::<Schedule>(&document);
    check::<HostTask>(&document);
    check::<TaskSchedule>(&document);
    check::<Downtime>(&document);
    check::<Contact>(&document);
    check::<Action>(&document);
    let list = &document["paths"]["/api/v1/hosts"]["get"]["responses"]["200"]["content"]["application/xml"]["example"];
    let list = list.as_str().unwrap();
    assert!(list.contains("<hosts total=\"1\"><host>"), "{list}");
    assert!(list.contains("<labels><entry key=\"role\">web</entry>"), "{list}");
}
