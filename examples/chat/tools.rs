//! The program's tool: units of length, mass and temperature, which a small language model gets wrong by itself.

use selvedge::{Tool, ToolCall};
use serde_json::{Value, json};

/// A unit, what it measures, and how many of the first unit of that it is: times a factor, and then so many more.
const UNITS: &[(&str, &str, f64, f64)] = &[
    ("m", "length", 1.0, 0.0),
    ("km", "length", 1000.0, 0.0),
    ("mi", "length", 1609.344, 0.0),
    ("ft", "length", 0.3048, 0.0),
    ("in", "length", 0.0254, 0.0),
    ("kg", "mass", 1.0, 0.0),
    ("lb", "mass", 0.45359237, 0.0),
    ("oz", "mass", 0.028349523125, 0.0),
    ("K", "temperature", 1.0, 0.0),
    ("C", "temperature", 1.0, 273.15),
    ("F", "temperature", 5.0 / 9.0, 459.67 * 5.0 / 9.0),
];

/// What the model may call.
pub(crate) fn all() -> Vec<Tool> {
    let units: Vec<&str> = UNITS.iter().map(|unit| unit.0).collect();
    let number = json!({ "type": "number", "minimum": -1e6, "maximum": 1e6, "multipleOf": 0.01 });
    let parameters = json!({
        "type": "object",
        "properties": { "value": number, "from": { "enum": units }, "to": { "enum": units } },
        "required": ["value", "from", "to"],
    });
    vec![Tool::new("convert", "Converts a value from one unit to another.", parameters.to_string())]
}

pub(crate) fn is_one(name: &str) -> bool {
    name == "convert"
}

/// The result of a call, for the model to read. One that cannot be made sense of is a result, too: it may do better.
pub(crate) fn call(call: &ToolCall) -> String {
    let result = if is_one(&call.name) { convert(&call.arguments) } else { Err(format!("no tool '{}'", call.name)) };
    result.unwrap_or_else(|why| json!({ "error": why })).to_string()
}

fn convert(arguments: &str) -> Result<Value, String> {
    let arguments: Value = serde_json::from_str(arguments).map_err(|e| e.to_string())?;
    let value = arguments["value"].as_f64().ok_or("value: expected a number")?;
    let unit = |key: &str| {
        let found = UNITS.iter().find(|unit| arguments[key] == unit.0);
        found.ok_or_else(|| format!("{key}: expected a unit, got {}", arguments[key]))
    };
    let (from, to) = (unit("from")?, unit("to")?);
    if from.1 != to.1 {
        return Err(format!("{} is a {} and {} is a {}", from.0, from.1, to.0, to.1));
    }
    let converted = (value * from.2 + from.3 - to.3) / to.2;
    // Six digits: what the arithmetic adds behind them is no part of the answer.
    let converted: f64 = format!("{converted:.5e}").parse().map_err(|e| format!("{e}"))?;
    Ok(json!({ "value": converted, "unit": to.0 }))
}
