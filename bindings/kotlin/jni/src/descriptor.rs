//! Types of the natives' arguments, and how Java's descriptors write them.

use std::ptr;

use jni_sys::{jarray, jint, jlong, jobject};

/// A type of an argument or a result.
pub(crate) trait Java: Copy {
    /// Its descriptor.
    const DESCRIPTOR: &'static str;
    /// What is returned beside an exception.
    const NONE: Self;
}

impl Java for () {
    const DESCRIPTOR: &'static str = "V";
    const NONE: Self = ();
}

impl Java for jint {
    const DESCRIPTOR: &'static str = "I";
    const NONE: Self = 0;
}

impl Java for jlong {
    const DESCRIPTOR: &'static str = "J";
    const NONE: Self = 0;
}

impl Java for f32 {
    const DESCRIPTOR: &'static str = "F";
    const NONE: Self = 0.0;
}

impl Java for f64 {
    const DESCRIPTOR: &'static str = "D";
    const NONE: Self = 0.0;
}

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident($raw:ty) = $descriptor:literal;)*) => {$(
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Clone, Copy)]
        pub(crate) struct $name(pub(crate) $raw);

        impl Java for $name {
            const DESCRIPTOR: &'static str = $descriptor;
            const NONE: Self = Self(ptr::null_mut());
        }
    )*};
}

objects! {
    /// `String`, or null.
    Str(jobject) = "Ljava/lang/String;";
    /// `String[]`, or null; elements may be null.
    Strs(jarray) = "[Ljava/lang/String;";
    /// A direct `ByteBuffer`, or null: all of its capacity.
    Buffer(jobject) = "Ljava/nio/ByteBuffer;";
    /// `Object[]`, or null.
    Objects(jarray) = "[Ljava/lang/Object;";
    /// `byte[]`, or null.
    Bytes(jarray) = "[B";
    /// `int[]`, or null.
    Ints(jarray) = "[I";
    /// `long[]`, or null.
    Longs(jarray) = "[J";
    /// `float[]`, or null.
    Floats(jarray) = "[F";
    /// A `Callback`, or null.
    Listener(jobject) = "Ldev/selvedge/Callback;";
}
