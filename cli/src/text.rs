//! How things look to a person: sizes, counts, times, durations, bytes that may be text.

use std::{fmt::Write as _, time::Duration};

use crate::failure::{Failure, Result};

/// How much of a value a table shows.
pub(crate) const VALUE_WIDTH: usize = 100;

/// Bytes as text if they are printable UTF-8, else as `0x` and hexadecimal digits.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => format!("0x{}", hex(bytes)),
    }
}

/// A key on the command line: as it is, or as hexadecimal digits.
pub(crate) fn key(key: &str, is_hex: bool) -> Result<Vec<u8>> {
    if !is_hex {
        return Ok(key.as_bytes().to_vec());
    }
    unhex(key).ok_or_else(|| Failure::usage(format!("KEY {key:?} is not an even number of hexadecimal digits")))
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of pairs of hexadecimal digits, or nothing.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// At most `width` characters, the last one `…` where something was cut. Control characters become spaces, so that a
/// value stays on its line.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let mut short: String = text.chars().take(width).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(width).is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// A count with thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 record`, `2 records`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A size in binary units, three digits: `1.42 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut rest = bytes;
    while rest >= 1024 * 1024 && unit + 1 < UNITS.len() {
        rest /= 1024;
        unit += 1;
    }
    // `rest` is in 1/1024 of the unit; two more digits by whole numbers.
    let hundredths = rest.saturating_mul(100) / 1024;
    let (whole, part) = (hundredths / 100, hundredths % 100);
    match whole {
        0..10 => format!("{whole}.{part:02} {}", UNITS[unit]),
        10..100 => format!("{whole}.{} {}", part / 10, UNITS[unit]),
        _ => format!("{whole} {}", UNITS[unit]),
    }
}

/// A duration, three digits: `12.3 ms`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let (number, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    match number {
        n if n < 10.0 => format!("{n:.2} {unit}"),
        n if n < 100.0 => format!("{n:.1} {unit}"),
        n => format!("{n:.0} {unit}"),
    }
}

/// How many a second, rounded to a whole number; 0 if no time has passed.
pub(crate) fn rate(number: u64, time: Duration) -> u64 {
    let micros = time.as_micros().max(1);
    u64::try_from(u128::from(number) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

/// A time in microseconds since 1970 as `2026-03-01 12:34:56.789 UTC`.
pub(crate) fn time(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (year, month, day) = civil_date(seconds / 86_400);
    let of_day = seconds % 86_400;
    let (hour, minute, second, millis) = (of_day / 3600, of_day / 60 % 60, of_day % 60, micros / 1000 % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03} UTC")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Counted in eras of 400 years that
/// begin in March, so that the leap day is the last of its year.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_YEAR_0_MARCH: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + DAYS_FROM_YEAR_0_MARCH;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = days / DAYS_PER_ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
