//! The JSON Schema of the configuration, derived from the structs that read it.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::document::Document;

/// What an editor needs to complete and check a configuration.
pub fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Document>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.to_value()
}

/// Takes away what only repeats: a default of nothing, and the widths of numbers.
fn tidy(schema: &mut Schema) {
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
    schema.remove("format");
    // Comments are broken into lines; an editor breaks them again.
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}
