//! A stream of events as JSON, for the commands that list streams.

use foldb::primitive::StreamSummary;
use serde_json::{Value, json};

use crate::{text, value};

/// All that is known of a stream without reading its events.
pub(crate) fn stream(stream: &StreamSummary) -> Value {
    json!({
        "stream": value::key_to_json(&stream.stream),
        "events": stream.events,
        "first": stream.first,
        "head": stream.head,
        "bytes": stream.bytes,
        "created_micros": stream.created_micros,
        "appended_micros": stream.appended_micros,
        "link": text::hex(&stream.link),
    })
}
