//! Natives: the macro that declares them, and their registration.

#![expect(unsafe_code, reason = "is called by the virtual machine")]

use std::ffi::{CString, c_char, c_void};

use jni_sys::{JNI_ERR, JNI_VERSION_1_6, JNINativeMethod, JavaVM, jint};

use crate::env::{self, Env};
use crate::failure::Result;
use crate::{answer, base, engine, monitor, pack, profile, run, sync, telemetry, weights};

/// A native method, as it is registered.
pub(crate) struct Native {
    /// Its Rust name; Java's is the same in camel case.
    pub(crate) name: &'static str,
    pub(crate) descriptor: String,
    pub(crate) function: *mut c_void,
}

/// Declares natives: static methods of `Native`. The body gives a [`Result`].
macro_rules! natives {
    ($(
        $(#[$doc:meta])*
        fn $name:ident($env:ident $(, $arg:ident: $kind:ty)* $(,)?) $(-> $result:ty)? $body:block
    )*) => {
        $(
            $(#[$doc])*
            #[allow(clippy::too_many_arguments, reason = "a native takes what a struct of the C ABI holds")]
            extern "system" fn $name(
                env: *mut jni_sys::JNIEnv, _class: jni_sys::jclass $(, $arg: $kind)*
            ) -> $crate::native::natives!(@result $($result)?) {
                $crate::env::guard(env, |$env| {
                    let _ = &$env;
                    $body
                })
            }
        )*

        /// The natives of this file.
        pub(crate) fn natives() -> Vec<$crate::native::Native> {
            vec![$($crate::native::Native {
                name: stringify!($name),
                descriptor: [
                    "(",
                    $(<$kind as $crate::descriptor::Java>::DESCRIPTOR,)*
                    ")",
                    <$crate::native::natives!(@result $($result)?) as $crate::descriptor::Java>::DESCRIPTOR,
                ].concat(),
                function: $name as *mut std::ffi::c_void,
            }),*]
        }
    };
    (@result) => { () };
    (@result $result:ty) => { $result };
}
pub(crate) use natives;

/// Called by `System.loadLibrary`: registers the natives.
///
/// # Safety
///
/// `vm` is the virtual machine's.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn JNI_OnLoad(vm: *mut JavaVM, _reserved: *mut c_void) -> jint {
    // SAFETY: the virtual machine calls this with itself, on a thread of its own.
    let Some(env) = (unsafe { env::load(vm) }) else { return JNI_ERR };
    match register(env) {
        Ok(()) => JNI_VERSION_1_6,
        // The exception says what is missing.
        Err(_) => JNI_ERR,
    }
}

fn register(env: Env) -> Result<()> {
    env.remember()?;
    let files = [
        base::natives(),
        engine::natives(),
        run::natives(),
        answer::natives(),
        telemetry::natives(),
        profile::natives(),
        monitor::natives(),
        sync::natives(),
        weights::natives(),
        pack::natives(),
    ];
    let natives: Vec<Native> = files.into_iter().flatten().collect();
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let texts: Vec<_> = natives.iter().map(|n| (text(&camel(n.name)), text(&n.descriptor))).collect();
    let methods: Vec<_> = natives
        .iter()
        .zip(&texts)
        .map(|(native, (name, descriptor))| JNINativeMethod {
            name: name.as_ptr().cast_mut().cast::<c_char>(),
            signature: descriptor.as_ptr().cast_mut().cast::<c_char>(),
            fnPtr: native.function,
        })
        .collect();
    env.register(&methods)
}

/// `engine_open` as `engineOpen`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (head, tail) = word.split_at(1.min(word.len()));
        all + &head.to_ascii_uppercase() + tail
    })
}
