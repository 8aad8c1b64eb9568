//! [`Limited`]: a value of a user's type whose serialization ends, however its type is nested.
//!
//! Invariant: whatever a `Serialize` implementation calls, it is entered at most [`LEVELS_MAX`] times inside of itself. A
//! list of a million nodes, or a graph that leads back to itself, is an error and not an overflow of the stack, which
//! would end the process without a word. Everything else is passed on as it is.

use core::fmt::Display;

use serde::{
    Serialize, Serializer,
    ser::{
        Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

use crate::limits::VALUE_DEPTH_MAX;

/// How deep serialization may go into a type. A level of a value takes several (a newtype, an option, a struct); four for
/// each leave every value within the limit of depth its room, and take a few hundred kilobytes of stack at most.
pub(super) const LEVELS_MAX: usize = 4 * VALUE_DEPTH_MAX;

/// What the error of a serializer says where the limit is exceeded.
const TOO_DEEP: &str = "the type is nested too deeply to be serialized";
/// What that of a deserializer says.
pub(super) const TOO_DEEP_TO_READ: &str = "the type is nested too deeply to be deserialized";

/// The error that this message of a serializer or a deserializer stands for, if it is ours.
pub(crate) fn nested_too_deeply(message: &str) -> Option<crate::Error> {
    let what = match message {
        TOO_DEEP => "the nesting of a serialized type",
        TOO_DEEP_TO_READ => "the nesting of a deserialized type",
        _ => return None,
    };
    let levels = u64::try_from(LEVELS_MAX).unwrap_or(u64::MAX);
    Some(crate::Error::Limit { what, size: levels + 1, limit: levels })
}

/// A value, and how many levels are left for it.
pub(crate) struct Limited<'a, T: ?Sized> {
    value: &'a T,
    left: usize,
}

impl<'a, T: ?Sized> Limited<'a, T> {
    pub(crate) fn new(value: &'a T) -> Self {
        Self { value, left: LEVELS_MAX }
    }
}

impl<T: Serialize + ?Sized> Serialize for Limited<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Counted { inner: serializer, left: self.left })
    }
}

/// A serializer, or what it gives for the parts of something, for values that have so many levels left.
struct Counted<S> {
    inner: S,
    left: usize,
}

/// One level less.
fn deeper<E: Error>(left: usize) -> Result<usize, E> {
    left.checked_sub(1).ok_or_else(|| E::custom(TOO_DEEP))
}

/// Methods that take a plain value.
macro_rules! pass_on {
    ($($method:ident: $from:ty),+) => {$(
        fn $method(self, value: $from) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )+};
}

/// Methods that begin something with parts.
macro_rules! begin {
    ($($method:ident($($name:ident: $from:ty),*) -> $compound:ident),+) => {$(
        fn $method(self, $($name: $from),*) -> Result<Counted<S::$compound>, S::Error> {
            let left = deeper(self.left)?;
            Ok(Counted { inner: self.inner.$method($($name),*)?, left })
        }
    )+};
}

impl<S: Serializer> Serializer for Counted<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Counted<S::SerializeSeq>;
    type SerializeTuple = Counted<S::SerializeTuple>;
    type SerializeTupleStruct = Counted<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Counted<S::SerializeTupleVariant>;
    type SerializeMap = Counted<S::SerializeMap>;
    type SerializeStruct = Counted<S::SerializeStruct>;
    type SerializeStructVariant = Counted<S::SerializeStructVariant>;

    pass_on!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_str: &str,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str
    );

    begin!(
        serialize_seq(len: Option<usize>) -> SerializeSeq,
        serialize_tuple(len: usize) -> SerializeTuple,
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct,
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant,
        serialize_map(len: Option<usize>) -> SerializeMap,
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct,
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant
    );

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_some(&Limited { value, left: deeper(self.left)? })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit()
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_struct(name, &Limited { value, left: deeper(self.left)? })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Limited { value, left: deeper(self.left)? })
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts of something, each with as many levels as are left.
macro_rules! parts {
    ($($kind:ident: $($method:ident $(($name:ident))?),+;)+) => {$(
        impl<S: $kind> $kind for Counted<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), S::Error> {
                self.inner.$method($($name,)? &Limited { value, left: self.left })
            })+

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        }
    )+};
}

parts! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
    SerializeMap: serialize_key, serialize_value;
    SerializeStruct: serialize_field(key);
    SerializeStructVariant: serialize_field(key);
}
