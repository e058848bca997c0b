//! The error table and the paths, against the description of the API for programs. `tests/openapi` holds the same
//! description against the running program.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::account::Accounts;
use crate::target::{Module, Target};

/// `docs/openapi.yaml`, and what its references lead to.
struct Description(Value);

impl Description {
    fn read() -> Self {
        let text = include_str!("../../../../docs/openapi.yaml");
        Self(serde_saphyr::from_str(text).unwrap())
    }

    /// What stands there, or in the place that it refers to.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self
                .0
                .pointer(reference.strip_prefix('#').unwrap())
                .unwrap(),
            None => value,
        }
    }

    fn paths(&self) -> impl Iterator<Item = (&str, &Value)> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        paths.map(|(path, item)| (path.as_str(), &item["delete"]))
    }

    /// The answers with a status of their own, each with that.
    fn responses(&self) -> impl Iterator<Item = (&str, &Value)> {
        let responses = self
            .paths()
            .flat_map(|(_, delete)| delete["responses"].as_object().unwrap());
        responses.map(|(status, response)| (status.as_str(), self.resolved(response)))
    }
}

/// Statuses and codes of the proxy's own answers, out of the examples.
fn described(description: &Description) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (status, response) in description.responses() {
        let examples = response["content"]["application/json"]["examples"].as_object();
        for (name, example) in examples.into_iter().flatten() {
            let envelope = &example["value"];
            if envelope["details"]["request_id"].is_string() {
                assert_eq!(envelope["code"], name.as_str());
                found.insert((status.to_owned(), name.clone()));
            }
        }
    }
    found
}

#[test]
fn the_proxys_own_answers_are_the_examples_of_the_description() {
    let rows = problems().into_iter().map(|(problem, _)| problem.row());
    let told: BTreeSet<_> = rows
        .map(|row| (row.status.as_str().to_owned(), row.code.as_str().to_owned()))
        .collect();

    assert_eq!(described(&Description::read()), told);
}

#[test]
fn the_envelope_is_the_one_of_the_description() {
    let description = Description::read();
    let schema = &description.0["components"]["schemas"]["Problem"]["properties"];
    let words = |list: &Value| -> BTreeSet<String> {
        let words = list.as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let details = &schema["details"]["properties"];
    let rows: Vec<_> = problems()
        .into_iter()
        .map(|(problem, _)| problem.row())
        .collect();

    let codes = rows.iter().map(|row| row.code.as_str().to_owned());
    assert_eq!(words(&schema["code"]["enum"]), codes.collect());
    let acts = rows.iter().map(|row| row.act.as_str().to_owned());
    assert_eq!(words(&details["act"]["enum"]), acts.collect());
    // A second call may be refused after a first one that was lost, and the outcome then is any but `deleted`.
    let outcomes = Outcome::ALL.iter().map(|it| it.as_str().to_owned());
    let header = &description.0["components"]["headers"]["Delete-Outcome"]["schema"]["enum"];
    assert_eq!(words(header), outcomes.collect());
    let mut of_problems = words(header);
    of_problems.remove("deleted");
    assert_eq!(words(&details["outcome"]["enum"]), of_problems);
}

#[test]
fn every_header_is_in_the_description_of_its_answer() {
    let description = Description::read();
    for (problem, _) in problems() {
        let row = problem.row();
        let response = problem.response(&row, "my-id");
        let mut answers = description.responses();
        let (_, answer) = answers
            .find(|(status, _)| *status == row.status.as_str())
            .unwrap();
        let headers = answer["headers"].as_object().unwrap();

        for name in response
            .headers()
            .keys()
            .filter(|name| **name != CONTENT_TYPE)
        {
            let is_described = headers
                .keys()
                .any(|it| it.eq_ignore_ascii_case(name.as_str()));
            assert!(is_described, "{name} of {problem:?}");
        }
        for (name, header) in headers {
            // These two belong to every response, whatever the problem.
            let is_there = ["Delete-Outcome", "X-Request-Id"].contains(&name.as_str())
                || response.headers().contains_key(name);
            assert!(
                is_there || description.resolved(header)["required"] != true,
                "{name} of {problem:?}"
            );
        }
    }
}

#[test]
fn the_paths_of_the_description_are_understood_with_its_own_examples() {
    let description = Description::read();
    let accounts = Accounts::new(vec!["sandbox".to_owned()], "sandbox").unwrap();
    let parameters = &description.0["components"]["parameters"];
    let mut seen = 0;
    for (path, _) in description.paths() {
        let modules = parameters["module"]["schema"]["enum"].as_array().unwrap();
        assert_eq!(modules.len(), Module::ALL.len());
        for module in modules {
            let path = path
                .replace(
                    "{account}",
                    parameters["account"]["example"].as_str().unwrap(),
                )
                .replace("{module}", module.as_str().unwrap())
                .replace("{id}", parameters["id"]["example"].as_str().unwrap());
            assert!(Target::parse(&path, &accounts).is_ok(), "{path}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * Module::ALL.len());
}

#[test]
fn the_description_is_of_this_version() {
    assert_eq!(
        Description::read().0["info"]["version"],
        env!("CARGO_PKG_VERSION")
    );
}
