//! A JSON Schema (draft 2020-12) of the format, made of its types and their documentation: for editors, which complete keys and
//! show what they mean. It says of what shape a file is; that the values fit together, [`Scenario::load`] checks.
//!
//! A file that includes others may lack any key. So each table is there twice: whole, and as a part.

mod keys;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::Scenario;

pub(crate) use keys::{
    DateText, DateTimeText, Id, NodeLevel, OneOrMany, PileCurrent, WarrantyKeys,
};

/// The name of a definition as part of a variant.
const PART: &str = "PartOf";

/// The schema of a scenario file.
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut whole = generator.into_root_schema_for::<Scenario>().to_value();
    let mut definitions = take(&mut whole, "$defs");
    let dialect = whole["$schema"].take();
    for key in ["$schema", "title"] {
        take(&mut whole, key);
    }
    let mut root = part(whole.clone());
    for (name, definition) in definitions.clone() {
        definitions.insert(format!("{PART}{name}"), part(definition));
    }
    definitions.insert("Whole".into(), whole);
    let file = json!({ "type": "string", "description": "A file, relative to this one." });
    root["properties"]["include"] = json!({
        "description": "Files that this one is a variant of; what stands here holds over what stands there.",
        "anyOf": [file, { "type": "array", "items": file }],
    });
    root["$schema"] = dialect;
    root["title"] = json!("A scenario of vpp");
    root["if"] = json!({ "not": { "required": ["include"] } });
    root["then"] = json!({ "$ref": "#/$defs/Whole" });
    root["$defs"] = Value::Object(definitions);
    root
}

fn take(value: &mut Value, key: &str) -> Map<String, Value> {
    match value.as_object_mut().and_then(|object| object.remove(key)) {
        Some(Value::Object(inner)) => inner,
        _ => Map::new(),
    }
}

/// The same without anything that must be there.
fn part(mut value: Value) -> Value {
    match &mut value {
        Value::Object(object) => {
            // A list of keys; a key of that name would have a schema, which is none.
            object.retain(|key, inner| !(key == "required" && inner.is_array()));
            for (key, inner) in object.iter_mut() {
                match (key.as_str(), inner.as_str()) {
                    ("$ref", Some(to)) => {
                        *inner = json!(to.replace("#/$defs/", &format!("#/$defs/{PART}")));
                    }
                    _ => *inner = part(inner.take()),
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|inner| *inner = part(inner.take())),
        _ => {}
    }
    value
}
