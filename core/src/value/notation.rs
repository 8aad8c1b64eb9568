//! [`Value`] as text for people: the diagnostic notation of RFC 8949, section 8.

use core::fmt::{self, Write as _};

use super::Value;

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => fmt::Display::fmt(value, f),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Float(value) => write_float(*value, f),
            Value::Text(text) => write_text(text, f),
            Value::Bytes(bytes) => write_bytes(bytes, f),
            Value::List(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write_separator(index, f)?;
                    fmt::Display::fmt(item, f)?;
                }
                f.write_char(']')
            }
            Value::Map(pairs) => {
                f.write_char('{')?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    write_separator(index, f)?;
                    write!(f, "{key}: {value}")?;
                }
                f.write_char('}')
            }
            Value::Tag(tag, value) => write!(f, "{tag}({value})"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn write_separator(index: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if index > 0 { f.write_str(", ") } else { Ok(()) }
}

fn write_float(value: f64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if value.is_nan() {
        return f.write_str("NaN");
    }
    if value.is_infinite() {
        return f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    // The debug form always shows that it is a float: `1.0`, not `1`.
    write!(f, "{value:?}")
}

pub(crate) fn write_bytes(bytes: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    f.write_str("h'")?;
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    f.write_char('\'')
}

fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // Control characters would reach the terminal of whoever prints a value; all of them are in the first plane.
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            other => f.write_char(other)?,
        }
    }
    f.write_char('"')
}
