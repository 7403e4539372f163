//! An OpenAPI document in a few hundred lines that can be reviewed: what each call takes and gives, and
//! what everything consists of. Sentences for people are left out. A keyword that it does not know fails.

use std::fmt::Write;

use serde_json::{Map, Value};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(super) fn of(document: &Value) -> String {
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let outline = Outline { schemas };
    let mut text = String::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{path} has {method}");
            let id = operation["operationId"].as_str().unwrap();
            writeln!(text, "{} {path} ({id})", method.to_uppercase()).unwrap();
            outline.operation(operation, &mut text);
        }
    }
    for (name, schema) in schemas {
        writeln!(text, "\n{name}").unwrap();
        for line in outline.lines(schema) {
            writeln!(text, "  {line}").unwrap();
        }
    }
    text
}

struct Outline<'d> {
    schemas: &'d Map<String, Value>,
}

impl Outline<'_> {
    fn operation(&self, operation: &Value, text: &mut String) {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (place, name) = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
            let optional = if parameter["required"] == true { "" } else { "?" };
            writeln!(text, "  {place} {name}{optional}: {}", self.shape(&parameter["schema"])).unwrap();
        }
        if let Some(body) = operation.get("requestBody") {
            writeln!(text, "  takes {}", self.content(body)).unwrap();
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let headers: Vec<_> = response["headers"].as_object().into_iter().flatten().collect();
            let headers: String = headers.iter().map(|(name, _)| format!(" +{name}")).collect();
            writeln!(text, "  {status} {}{headers}", self.content(response)).unwrap();
        }
    }

    /// What a body is; of a problem its codes.
    fn content(&self, body: &Value) -> String {
        let Some(content) = body.get("content") else { return "nothing".to_owned() };
        let kinds = content.as_object().unwrap().iter().map(|(kind, body)| {
            let codes = body.pointer("/schema/allOf/1/properties/code/enum").and_then(Value::as_array);
            match (kind.as_str(), codes) {
                ("application/problem+json", Some(codes)) => words(codes, " "),
                _ => format!("{kind}: {}", self.shape(&body["schema"])),
            }
        });
        kinds.collect::<Vec<_>>().join(", ")
    }

    /// A schema that has a name, a line for each of its members or forms.
    fn lines(&self, schema: &Value) -> Vec<String> {
        if schema.get("properties").is_some() {
            let end = rest(schema.get("additionalProperties"), self);
            return self.members(schema).into_iter().chain(end).collect();
        }
        for (keyword, sign) in [("oneOf", '|'), ("allOf", '&')] {
            if let Some(forms) = schema[keyword].as_array() {
                return forms.iter().map(|form| format!("{sign} {}", self.shape(form))).collect();
            }
        }
        vec![self.anonymous(schema)]
    }

    /// A schema in a line; by its name if it has one.
    fn shape(&self, schema: &Value) -> String {
        let known = self.schemas.iter().find(|(_, known)| *known == schema);
        known.map_or_else(|| self.anonymous(schema), |(name, _)| name.clone())
    }

    fn anonymous(&self, schema: &Value) -> String {
        if let Some(reference) = schema["$ref"].as_str() {
            return reference.rsplit('/').next().unwrap().to_owned();
        }
        // Bytes have no schema.
        let Some(members) = schema.as_object() else { return "anything".to_owned() };
        let mut types = Vec::new();
        match &members.get("type") {
            Some(Value::Array(several)) => types.extend(several.iter().map(|one| one.as_str().unwrap())),
            Some(one) => types.push(one.as_str().unwrap()),
            None => {}
        }
        let mut text: Vec<_> = types.into_iter().map(|one| self.typed(one, schema)).collect();
        let mut limits = String::new();
        for (keyword, value) in members {
            match keyword.as_str() {
                // Told by the type, or for people.
                "type"
                | "format"
                | "items"
                | "properties"
                | "required"
                | "additionalProperties"
                | "propertyNames"
                | "description"
                | "example"
                | "title" => {}
                "enum" => text = vec![words(value.as_array().unwrap(), "|")],
                "oneOf" | "anyOf" | "allOf" => {
                    let forms = value.as_array().unwrap().iter().map(|form| self.shape(form));
                    let sign = if keyword == "allOf" { " & " } else { " | " };
                    text.push(forms.collect::<Vec<_>>().join(sign));
                }
                "pattern" => write!(limits, " /{}/", value.as_str().unwrap()).unwrap(),
                "minimum" | "minLength" | "minItems" => write!(limits, " >={value}").unwrap(),
                "maximum" | "maxLength" | "maxItems" => write!(limits, " <={value}").unwrap(),
                "uniqueItems" => limits.push_str(" distinct"),
                unknown => panic!("the outline tells nothing of the keyword {unknown}: {schema}"),
            }
        }
        if text.is_empty() {
            text.push("anything".to_owned());
        }
        text.join(" | ") + &limits
    }

    fn typed(&self, name: &str, schema: &Value) -> String {
        match name {
            "array" => format!("[{}]", self.shape(&schema["items"])),
            "object" => {
                let end = rest(schema.get("additionalProperties"), self);
                let members: Vec<_> = self.members(schema).into_iter().chain(end).collect();
                format!("{{{}}}", members.join(", "))
            }
            "null" => name.to_owned(),
            _ => schema["format"].as_str().unwrap_or(name).to_owned(),
        }
    }

    fn members(&self, schema: &Value) -> Vec<String> {
        let required: Vec<_> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let member = |(name, schema): (&String, &Value)| {
            let optional = if required.contains(&name.as_str()) { "" } else { "?" };
            format!("{name}{optional}: {}", self.shape(schema))
        };
        properties.map(member).collect()
    }
}

/// What may stand in an object besides its named members.
fn rest(schema: Option<&Value>, outline: &Outline<'_>) -> Option<String> {
    match schema {
        None => None,
        Some(Value::Bool(false)) => Some("nothing else".to_owned()),
        Some(schema) => Some(format!("*: {}", outline.shape(schema))),
    }
}

fn words(values: &[Value], between: &str) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.iter().map(word).collect::<Vec<_>>().join(between)
}
