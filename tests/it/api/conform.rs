//! Whether a value is as a schema of the document says, and has nothing that the schema does not
//! name.

use std::collections::BTreeMap;

use serde_json::Value;

/// The document, for what is only named in a schema.
pub(crate) struct Document<'a>(pub(crate) &'a Value);

impl Document<'_> {
    /// What is wrong with `value`, if anything is, with where it is.
    pub(crate) fn fault(&self, value: &Value, schema: &Value, place: &str) -> Option<String> {
        let mut named = BTreeMap::new();
        let mut is_open = false;
        if let Some(fault) = self.of_schema(value, schema, place, &mut named, &mut is_open) {
            return Some(fault);
        }
        let members = value.as_object()?;
        members.iter().find_map(|(name, member)| {
            let place = format!("{place}.{name}");
            match named.get(name) {
                Some(schema) => self.fault(member, schema, &place),
                None if is_open => None,
                None => Some(format!("{place} is not in the document")),
            }
        })
    }

    /// Collects the members that a schema names, with those of its parts.
    fn of_schema(
        &self,
        value: &Value,
        schema: &Value,
        place: &str,
        named: &mut BTreeMap<String, Value>,
        is_open: &mut bool,
    ) -> Option<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let found = self.0.pointer(reference.trim_start_matches('#'));
            let found = found.unwrap_or_else(|| panic!("{reference} leads nowhere"));
            return self.of_schema(value, found, place, named, is_open);
        }
        if let Some(fault) = of_type(value, schema, place) {
            return Some(fault);
        }
        if let Some(parts) = schema["oneOf"].as_array() {
            let fits = parts
                .iter()
                .filter(|part| self.fault(value, part, place).is_none());
            let count = fits.count();
            if count != 1 {
                return Some(format!("{place}: {value} fits {count} of {schema}"));
            }
            *is_open = true;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            if let Some(fault) = self.of_schema(value, part, place, named, is_open) {
                return Some(fault);
            }
        }
        let properties = schema["properties"].as_object();
        // An object of which nothing is said may hold anything.
        *is_open |= schema["additionalProperties"] == true
            || (properties.is_none() && schema.get("allOf").is_none());
        for (name, property) in properties.into_iter().flatten() {
            named.insert(name.clone(), property.clone());
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            if value.get(name.as_str().unwrap_or_default()).is_none() {
                return Some(format!("{place} lacks {name}"));
            }
        }
        let items = value.as_array().into_iter().flatten().enumerate();
        let of_items = schema.get("items")?;
        items
            .map(|(at, item)| self.fault(item, of_items, &format!("{place}[{at}]")))
            .find_map(|fault| fault)
    }
}

fn of_type(value: &Value, schema: &Value, place: &str) -> Option<String> {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let fits = types.iter().any(|kind| match *kind {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    });
    let words = schema["enum"].as_array();
    let is_word = words.is_none_or(|words| words.contains(value));
    let format = schema["format"].as_str();
    let text = value.as_str();
    let reads = match (format, text) {
        (Some("uuid"), Some(text)) => text.parse::<uuid::Uuid>().is_ok(),
        (Some("date-time"), Some(text)) => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    };
    (!fits || !is_word || !reads).then(|| format!("{place}: {value} is not as {schema}"))
}
