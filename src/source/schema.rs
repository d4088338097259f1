//! Shapes that several schemas share.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A text, or what YAML takes for a number or a truth value where no quotes stand around it: the reader makes it a text.
#[derive(Clone, Copy, Debug)]
pub enum AnyScalar {}

impl JsonSchema for AnyScalar {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "AnyScalar".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean"]})
    }
}

/// The `oneOf` of a mapping in which one of these keys has a value, and no other of them.
pub fn exactly_one_of(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"properties": {*key: {"not": {"type": "null"}}}, "required": [key]})).collect()
}
