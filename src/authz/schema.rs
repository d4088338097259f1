//! The JSON Schema of the rule file, for editors: every key of the language with what it means.
//!
//! It is never stricter than the reader. What a schema cannot say well (patterns, captures, what rules mean together) it
//! leaves to `narrows check`.

use serde_json::{Value, json};

use crate::source::Period;

/// What an editor needs to complete and check a rule file.
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rules.yaml",
        "description": "Who may do what: allows add up, a deny wins, order never matters. docs/rules.md explains every word.",
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "rules"],
        "properties": file_keys(),
        "$defs": {
            "rule": rule(),
            "choice": choice(false),
            "exception": choice(true),
            "conditions": conditions(),
            "original": original(),
            "when": when(),
            "ttl": ttl(),
            "word": word(),
            "text": {"type": "string", "minLength": 1},
            "texts": one_or_some(&reference("text")),
            "period": {
                "description": "A length of time: a whole number and ms, s, m, h or d.",
                "type": "string",
                "pattern": Period::PATTERN,
                "examples": ["5m", "1h", "12h", "30d"],
            },
        },
    })
}

fn file_keys() -> Value {
    let action = json!({"enum": ["pull", "push", "delete"]});
    json!({
        "version": {"description": "The version of the language: 1.", "const": 1},
        "realm": described(
            "Whose users and groups plain names mean. Needed where the configuration has several realms.",
            &reference("text"),
        ),
        "timezone": {
            "description": "The time zone of bare dates and times of day. Needed where one is used.",
            "type": "string",
            "minLength": 1,
            "examples": ["Europe/Berlin", "UTC"],
        },
        "reserved": {
            "description": "First segments that no captured value and no user name may take. Needed, if only as [], where {user} or a capture opens a pattern.",
            "anyOf": [reference("text"), {"type": "array", "items": reference("text")}],
        },
        "roles": {
            "description": "Names for sets of actions. viewer (pull), contributor (pull, push) and owner (pull, push, delete) exist in every file.",
            "type": "object",
            "additionalProperties": one_or_some(&action),
        },
        "groups": {
            "description": "Aliases: another name for groups of the directory. Rules see the alias and no longer the original.",
            "type": "object",
            "additionalProperties": one_or_some(&reference("original")),
        },
        "rules": {
            "description": "The rules; [] if nobody may do anything. Their order never matters.",
            "type": "array",
            "items": reference("rule"),
        },
    })
}

fn rule() -> Value {
    json!({
        "description": "Gives actions (allow) or takes them away (deny), for whoever is meant by `to`.",
        "type": "object",
        "additionalProperties": false,
        "required": ["to"],
        "oneOf": [{"required": ["allow"]}, {"required": ["deny"]}],
        "properties": {
            "name": described("What the audit and `narrows explain` call the rule. Two rules of one name are an error.", &reference("text")),
            "to": {
                "description": "Whom the rule is for: anyone, authenticated, a map whose keys must all hold, or a list of maps of which one must.",
                "anyOf": [
                    {"description": "Everybody, also without credentials.", "const": "anyone"},
                    {"description": "People and users of a file, of any realm; never workloads.", "const": "authenticated"},
                    reference("choice"),
                    {"type": "array", "minItems": 1, "items": reference("choice")},
                ],
            },
            "allow": described(
                "What may be done: a role, an action, or a list of them. \"{role}\" takes a captured role.",
                &one_or_some(&reference("word")),
            ),
            "deny": described(
                "What may not be done, whatever another rule allows: a role, an action, or a list of them; all is pull, push and delete.",
                &one_or_some(&reference("word")),
            ),
            "repository": repository("Where: patterns over the whole name. * is within a segment, ** any number of segments. Needed except for catalog."),
            "except": {
                "description": "The rule does not apply where one of these maps holds entirely.",
                "anyOf": [reference("exception"), {"type": "array", "minItems": 1, "items": reference("exception")}],
            },
            "when": reference("when"),
            "ttl": reference("ttl"),
            "tags": described(
                "Which tags a deny of push or delete is about, for registries that understand it (gitlab).",
                &one_or_some(&json!({"type": "string", "minLength": 1, "examples": ["v*"]})),
            ),
        },
    })
}

/// A map of `to`, or of `except`, which also knows `repository`.
fn choice(in_except: bool) -> Value {
    let all = json!({
        "description": "Every one of these maps must hold, as for two groups at once.",
        "type": "array",
        "minItems": 1,
        "items": reference("conditions"),
    });
    let (mut properties, mut beside_all) = (with(condition_keys(), "all", all), json!({"all": true}));
    if in_except {
        let description = "Where the rule does not apply: patterns as behind the rule's own `repository`.";
        properties = with(properties, "repository", repository(description));
        beside_all = with(beside_all, "repository", true.into());
    }
    json!({
        "description": "Every key must hold, and any value of a key is enough.",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": properties,
        "dependentSchemas": {"all": {"properties": beside_all, "additionalProperties": false}},
    })
}

/// An item of `all`.
fn conditions() -> Value {
    json!({
        "description": "Every key must hold, and any value of a key is enough.",
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": condition_keys(),
    })
}

fn condition_keys() -> Value {
    let texts = reference("texts");
    json!({
        "user": described("Canonical user names. * is one or more characters but no /, {name} captures.", &texts),
        "group": described("Groups as the directory spells them, aliases, or DNs (a text with =). * is one or more characters but no /, {team} captures.", &texts),
        "provider": described("Names of providers.", &texts),
        "realm": described("Names of realms: whose users and groups the names beside it are.", &texts),
        "claims": {
            "description": "Claims of the token that was presented; each must have one of its values, compared as text.",
            "type": "object",
            "additionalProperties": texts,
        },
        "mfa": {
            "description": "A second factor.",
            "type": "object",
            "additionalProperties": false,
            "required": ["within"],
            "properties": {"within": described("How long ago the login with it may be.", &reference("period"))},
        },
    })
}

fn when() -> Value {
    json!({
        "description": "When, and from where, the rule applies; every key must hold.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "services": described("The services that it is for, by name.", &reference("texts")),
            "source": described(
                "The client's addresses: networks in CIDR form.",
                &one_or_some(&json!({"type": "string", "examples": ["10.20.0.0/16"]})),
            ),
            "from": {
                "description": "The first day in the file's time zone, or an instant.",
                "type": "string",
                "examples": ["2035-01-01", "2035-01-01T08:00:00Z"],
            },
            "until": {
                "description": "The last day in the file's time zone, included, or an instant.",
                "type": "string",
                "examples": ["2035-12-31", "2035-12-31T18:00:00Z"],
            },
            "weekly": {
                "description": "Times of the week, in the file's time zone.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "days": described("The days.", &one_or_some(&day())),
                    "from": {"description": "The time of day from which.", "type": "string", "examples": ["08:00"]},
                    "until": {"description": "The time of day until which.", "type": "string", "examples": ["18:00"]},
                },
            },
        },
    })
}

fn ttl() -> Value {
    let life = |action: &str| described(&format!("The life of a {action} that this rule grants."), &reference("period"));
    json!({
        "description": "How long an action that this rule grants lives, instead of the service's token_ttl.",
        "anyOf": [
            reference("period"),
            {
                "type": "object",
                "additionalProperties": false,
                "properties": {"pull": life("pull"), "push": life("push"), "delete": life("delete"), "catalog": life("catalogue listing")},
            },
        ],
    })
}

/// What an alias stands for.
fn original() -> Value {
    json!({
        "description": "A group's name, its DN, or {id: …}.",
        "anyOf": [
            reference("text"),
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["id"],
                "properties": {"id": described("A stable id, as objectGUID or Entra's object id.", &reference("text"))},
            },
        ],
    })
}

/// A role or an action. The known ones stand there to be offered; files add roles.
fn word() -> Value {
    json!({
        "anyOf": [
            {"enum": ["viewer", "contributor", "owner", "pull", "push", "delete", "catalog", "all"]},
            reference("text"),
        ],
    })
}

/// A day of the week. The words stand there to be offered.
fn day() -> Value {
    json!({"anyOf": [{"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, {"type": "string"}]})
}

fn repository(description: &str) -> Value {
    let pattern = json!({"type": "string", "minLength": 1, "examples": ["payments/**", "tools/*", "users/{user}/**"]});
    described(description, &one_or_some(&pattern))
}

/// One, or a list that is not empty.
fn one_or_some(item: &Value) -> Value {
    json!({"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn described(description: &str, schema: &Value) -> Value {
    with(schema.clone(), "description", description.into())
}

/// The same object with one more key.
fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Value::Object(entries) = &mut object {
        entries.insert(key.to_owned(), value);
    }
    object
}
