//! The virtual machine's environment: the only file, with `callback`, that calls it.

#![expect(unsafe_code, reason = "calls the virtual machine")]

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

use jni_sys::{
    JNI_OK, JNI_VERSION_1_6, JNIEnv, JNINativeInterface_, JNINativeMethod, JavaVM, jarray, jclass, jint, jmethodID,
    jobject, jsize, jvalue,
};

use crate::descriptor::{Buffer, Bytes, Floats, Ints, Java, Longs, Objects, Str, Strs};
use crate::failure::{Failure, Result, invalid, panicked};

/// The environment of a thread.
#[derive(Clone, Copy)]
pub(crate) struct Env(*mut JNIEnv);

/// What is looked up once.
struct Machine {
    native: jclass,
    raise: jmethodID,
    string: jclass,
    object: jclass,
    /// Of `Callback`.
    progress: jmethodID,
    alert: jmethodID,
    log: jmethodID,
}

// SAFETY: global references and the ids of methods may be used from any thread.
unsafe impl Send for Machine {}
// SAFETY: as above.
unsafe impl Sync for Machine {}

static VM: OnceLock<Vm> = OnceLock::new();
static MACHINE: OnceLock<Machine> = OnceLock::new();

struct Vm(*mut JavaVM);
// SAFETY: the virtual machine may be used from any thread.
unsafe impl Send for Vm {}
// SAFETY: as above.
unsafe impl Sync for Vm {}

/// Remembers the machine, and gives the environment of the thread that loads the library.
///
/// # Safety
///
/// `vm` is the virtual machine's.
pub(crate) unsafe fn load(vm: *mut JavaVM) -> Option<Env> {
    VM.get_or_init(|| Vm(vm));
    let mut env = ptr::null_mut::<c_void>();
    // SAFETY: the caller vouches for it.
    let status = unsafe { ((**vm).v1_2.GetEnv)(vm, &mut env, JNI_VERSION_1_6) };
    (status == JNI_OK).then_some(Env(env.cast()))
}

/// Runs the body of a native: a panic or a failure becomes an exception.
pub(crate) fn guard<T: Java>(env: *mut JNIEnv, body: impl FnOnce(Env) -> Result<T>) -> T {
    let env = Env(env);
    let result = catch_unwind(AssertUnwindSafe(|| body(env))).unwrap_or_else(|_| Err(panicked()));
    result.unwrap_or_else(|failure| {
        if let Failure::Refused(code, message) = failure {
            env.raise(code, &message);
        }
        T::NONE
    })
}

/// Runs `body` on a thread that may be none of the machine's, with local references that end with it.
pub(crate) fn attached(body: impl FnOnce(Env)) {
    let Some(Vm(vm)) = VM.get() else { return };
    let vm = *vm;
    let mut env = ptr::null_mut::<c_void>();
    // SAFETY: the machine lives as long as the process; a thread that was attached here is detached here.
    unsafe {
        let known = ((**vm).v1_2.GetEnv)(vm, &mut env, JNI_VERSION_1_6) == JNI_OK;
        if !known && ((**vm).v1_4.AttachCurrentThreadAsDaemon)(vm, &mut env, ptr::null_mut()) != JNI_OK {
            return;
        }
        Env(env.cast()).framed(body);
        if !known {
            ((**vm).v1_2.DetachCurrentThread)(vm);
        }
    }
}

/// Local references that a callback may make.
const FRAME: jint = 16;
/// Bytes of a text that is made in place.
const SHORT: usize = 64;

impl Env {
    fn table(self) -> &'static JNINativeInterface_ {
        // SAFETY: the environment of a thread points to a table of the machine's.
        unsafe { &**self.0 }
    }

    /// Looks up what is used later.
    pub(crate) fn remember(self) -> Result<()> {
        let native = self.class(c"dev/selvedge/Native")?;
        let callback = self.class(c"dev/selvedge/Callback")?;
        let machine = Machine {
            native,
            // SAFETY: the classes are references, and names and descriptors end with a NUL.
            raise: self.found(unsafe {
                (self.table().v1_2.GetStaticMethodID)(
                    self.0,
                    native,
                    c"raise".as_ptr(),
                    c"(ILjava/lang/String;)V".as_ptr(),
                )
            })?,
            string: self.class(c"java/lang/String")?,
            object: self.class(c"java/lang/Object")?,
            progress: self.method(callback, c"progress", c"(JJ)V")?,
            alert: self.method(
                callback,
                c"alert",
                c"(IIIJJLjava/lang/String;Ljava/lang/String;Ljava/lang/String;)V",
            )?,
            log: self.method(callback, c"log", c"(ILjava/lang/String;Ljava/lang/String;)V")?,
        };
        MACHINE.get_or_init(|| machine);
        Ok(())
    }

    pub(crate) fn register(self, methods: &[JNINativeMethod]) -> Result<()> {
        let machine = self.machine()?;
        // SAFETY: each method has a name, a descriptor and a function of that descriptor (`natives!`).
        let status = unsafe {
            (self.table().v1_2.RegisterNatives)(self.0, machine.native, methods.as_ptr(), size(methods.len())?)
        };
        if status == JNI_OK { Ok(()) } else { Err(Failure::Thrown) }
    }

    fn machine(self) -> Result<&'static Machine> {
        MACHINE.get().ok_or_else(|| invalid("the library is not loaded yet"))
    }

    fn class(self, name: &CStr) -> Result<jclass> {
        // SAFETY: the name ends with a NUL.
        let class = self.found(unsafe { (self.table().v1_2.FindClass)(self.0, name.as_ptr()) })?;
        // SAFETY: the class is a reference of this thread's.
        self.found(unsafe { (self.table().v1_2.NewGlobalRef)(self.0, class) })
    }

    fn method(self, class: jclass, name: &CStr, descriptor: &CStr) -> Result<jmethodID> {
        // SAFETY: the class is a reference, and both texts end with a NUL.
        self.found(unsafe { (self.table().v1_2.GetMethodID)(self.0, class, name.as_ptr(), descriptor.as_ptr()) })
    }

    /// What the machine gave, or the exception it threw.
    fn found<T>(self, object: *mut T) -> Result<*mut T> {
        if object.is_null() { Err(Failure::Thrown) } else { Ok(object) }
    }

    /// Throws a `SelvedgeException`.
    fn raise(self, code: i32, message: &str) {
        let (Ok(machine), Ok(message)) = (self.machine(), self.str(message)) else { return };
        let arguments = [jvalue { i: code }, jvalue { l: message.0 }];
        // SAFETY: the method takes a number and a text.
        unsafe {
            (self.table().v1_2.CallStaticVoidMethodA)(self.0, machine.native, machine.raise, arguments.as_ptr());
        }
    }

    /// Runs `body`, frees its local references, and drops an exception that it left.
    fn framed(self, body: impl FnOnce(Env)) {
        // SAFETY: frames are pushed and popped on this thread.
        unsafe {
            if (self.table().v1_2.PushLocalFrame)(self.0, FRAME) == JNI_OK {
                // What is thrown by a panic here must not reach the machine.
                let _ = catch_unwind(AssertUnwindSafe(|| body(self)));
                (self.table().v1_2.ExceptionClear)(self.0);
                (self.table().v1_2.PopLocalFrame)(self.0, ptr::null_mut());
            } else {
                (self.table().v1_2.ExceptionClear)(self.0);
            }
        }
    }

    // ---- Callbacks ----

    pub(crate) fn global(self, object: jobject) -> Result<jobject> {
        // SAFETY: the object is a reference of this thread's.
        self.found(unsafe { (self.table().v1_2.NewGlobalRef)(self.0, object) })
    }

    pub(crate) fn release(self, global: jobject) {
        // SAFETY: made by `global`, and released once.
        unsafe { (self.table().v1_2.DeleteGlobalRef)(self.0, global) };
    }

    pub(crate) fn tell_progress(self, listener: jobject, done: u64, total: u64) -> Result<()> {
        let arguments = [jvalue { j: done as i64 }, jvalue { j: total as i64 }];
        self.tell(listener, self.machine()?.progress, &arguments)
    }

    pub(crate) fn tell_alert(
        self,
        listener: jobject,
        numbers: [i32; 3],
        windows: [u64; 2],
        texts: [&str; 3],
    ) -> Result<()> {
        let [event, severity, action] = numbers.map(|i| jvalue { i });
        let [since, at] = windows.map(|j| jvalue { j: j as i64 });
        let [kind, feature, evidence] = texts.map(|text| self.str(text));
        let [kind, feature, evidence] = [kind?, feature?, evidence?].map(|text| jvalue { l: text.0 });
        self.tell(listener, self.machine()?.alert, &[event, severity, action, since, at, kind, feature, evidence])
    }

    pub(crate) fn tell_log(self, listener: jobject, level: i32, target: &str, message: &str) -> Result<()> {
        let arguments = [jvalue { i: level }, jvalue { l: self.str(target)?.0 }, jvalue { l: self.str(message)?.0 }];
        self.tell(listener, self.machine()?.log, &arguments)
    }

    fn tell(self, listener: jobject, method: jmethodID, arguments: &[jvalue]) -> Result<()> {
        // SAFETY: the listener is a `Callback`, and the arguments are those of the method.
        unsafe { (self.table().v1_2.CallVoidMethodA)(self.0, listener, method, arguments.as_ptr()) };
        Ok(())
    }

    // ---- Out of Java ----

    /// A text that must be there.
    pub(crate) fn text(self, name: &str, text: Str) -> Result<String> {
        self.text_or_none(name, text)?.ok_or_else(|| invalid(format!("{name}: expected a text, got null")))
    }

    pub(crate) fn text_or_none(self, name: &str, text: Str) -> Result<Option<String>> {
        if text.0.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, and a `String` by the native's descriptor.
        let units = unsafe {
            let len = (self.table().v1_2.GetStringLength)(self.0, text.0);
            let mut units = vec![0u16; usize::try_from(len).unwrap_or(0)];
            (self.table().v1_2.GetStringRegion)(self.0, text.0, 0, len, units.as_mut_ptr());
            units
        };
        let text = String::from_utf16(&units);
        text.map(Some).map_err(|_| invalid(format!("{name}: expected Unicode, got half of a surrogate pair")))
    }

    /// Texts, of which some may be missing; none at all for null.
    pub(crate) fn texts_or_none(self, name: &str, texts: Strs) -> Result<Vec<Option<String>>> {
        self.each(texts.0, |element| self.text_or_none(name, Str(element)))
    }

    pub(crate) fn texts(self, name: &str, texts: Strs) -> Result<Vec<String>> {
        self.each(texts.0, |element| self.text(name, Str(element)))
    }

    /// What `read` makes of each element of an array of objects; none for null.
    pub(crate) fn each<T>(self, array: jarray, read: impl Fn(jobject) -> Result<T>) -> Result<Vec<T>> {
        (0..self.len(array))
            .map(|i| {
                let element = self.element(array, i)?;
                let value = read(element);
                self.forget(element);
                value
            })
            .collect()
    }

    /// An element of an array of objects, which is long enough.
    pub(crate) fn element(self, array: jarray, at: usize) -> Result<jobject> {
        // SAFETY: an array of objects; an index beyond it is an exception.
        unsafe {
            let element = (self.table().v1_2.GetObjectArrayElement)(self.0, array, size(at)?);
            if (self.table().v1_2.ExceptionCheck)(self.0) { Err(Failure::Thrown) } else { Ok(element) }
        }
    }

    /// Frees a local reference, of which a thread has few.
    pub(crate) fn forget(self, object: jobject) {
        // SAFETY: a reference of this thread's, or null, that is not used again.
        unsafe { (self.table().v1_2.DeleteLocalRef)(self.0, object) };
    }

    /// Of an array; 0 for null.
    pub(crate) fn len(self, array: jarray) -> usize {
        if array.is_null() {
            return 0;
        }
        // SAFETY: not null, and an array by the native's descriptor.
        usize::try_from(unsafe { (self.table().v1_2.GetArrayLength)(self.0, array) }).unwrap_or(0)
    }

    /// The memory of a direct buffer; NULL and 0 for null. It lives while Java holds the buffer.
    pub(crate) fn memory(self, name: &str, buffer: Buffer) -> Result<(*mut c_void, usize)> {
        if buffer.0.is_null() {
            return Ok((ptr::null_mut(), 0));
        }
        // SAFETY: not null, and a `ByteBuffer` by the native's descriptor, or NULL and -1 come back.
        let (address, capacity) = unsafe {
            let table = self.table().v1_4;
            ((table.GetDirectBufferAddress)(self.0, buffer.0), (table.GetDirectBufferCapacity)(self.0, buffer.0))
        };
        match usize::try_from(capacity) {
            Ok(0) => Ok((ptr::null_mut(), 0)),
            Ok(capacity) if !address.is_null() => Ok((address, capacity)),
            _ => Err(invalid(format!("{name}: expected a direct buffer"))),
        }
    }

    // ---- Into Java ----

    pub(crate) fn str(self, text: &str) -> Result<Str> {
        // A token's text is short: it needs no memory of its own.
        let (mut short, long);
        let units = if text.len() <= SHORT {
            short = [0u16; SHORT];
            let len = short.iter_mut().zip(text.encode_utf16()).map(|(place, unit)| *place = unit).count();
            &short[..len]
        } else {
            long = text.encode_utf16().collect::<Vec<_>>();
            &long[..]
        };
        // SAFETY: so many units are there.
        self.found(unsafe { (self.table().v1_2.NewString)(self.0, units.as_ptr(), size(units.len())?) }).map(Str)
    }

    pub(crate) fn strs(self, texts: &[Option<&str>]) -> Result<Strs> {
        let array = self.array(self.machine()?.string, texts.len())?;
        for (i, text) in texts.iter().enumerate() {
            let Some(text) = text else { continue };
            let text = self.str(text)?;
            self.put(array, i, text.0)?;
            self.forget(text.0);
        }
        Ok(Strs(array))
    }

    pub(crate) fn objects(self, objects: &[jobject]) -> Result<Objects> {
        let array = self.array(self.machine()?.object, objects.len())?;
        for (i, object) in objects.iter().enumerate() {
            self.put(array, i, *object)?;
        }
        Ok(Objects(array))
    }

    fn array(self, class: jclass, len: usize) -> Result<jarray> {
        // SAFETY: a class, and no first element.
        self.found(unsafe { (self.table().v1_2.NewObjectArray)(self.0, size(len)?, class, ptr::null_mut()) })
    }

    /// Puts an object where an array has room for it.
    pub(crate) fn put(self, array: jarray, at: usize, object: jobject) -> Result<()> {
        // SAFETY: an array of objects; what does not fit is an exception.
        unsafe {
            (self.table().v1_2.SetObjectArrayElement)(self.0, array, size(at)?, object);
            if (self.table().v1_2.ExceptionCheck)(self.0) { Err(Failure::Thrown) } else { Ok(()) }
        }
    }

    /// Writes over the beginning of an array, which is long enough.
    pub(crate) fn set_longs(self, array: Longs, numbers: &[i64]) -> Result<()> {
        // SAFETY: an array of this type by the native's descriptor; one that is too short is an exception.
        unsafe {
            (self.table().v1_2.SetLongArrayRegion)(self.0, array.0, 0, size(numbers.len())?, numbers.as_ptr());
            if (self.table().v1_2.ExceptionCheck)(self.0) { Err(Failure::Thrown) } else { Ok(()) }
        }
    }

    /// A buffer over memory that Java's side keeps alive.
    ///
    /// # Safety
    ///
    /// `len` bytes are at `data` for as long as Java uses the buffer.
    pub(crate) unsafe fn buffer(self, data: *const c_void, len: usize) -> Result<Buffer> {
        // A buffer of nothing may not be made of NULL.
        static NOTHING: u64 = 0;
        let data = if len == 0 { (&raw const NOTHING).cast() } else { data };
        let len = i64::try_from(len).map_err(|_| invalid("a buffer of more than 2^63 bytes"))?;
        // SAFETY: the caller vouches for it.
        self.found(unsafe { (self.table().v1_4.NewDirectByteBuffer)(self.0, data.cast_mut(), len) }).map(Buffer)
    }
}

macro_rules! arrays {
    ($($kind:ident $element:ty: $read:ident $region:ident, $write:ident $new:ident $set:ident;)*) => {
        impl Env {$(
            /// The numbers of an array; none for null.
            pub(crate) fn $read(self, array: $kind) -> Result<Vec<$element>> {
                let mut numbers = vec![<$element>::default(); self.len(array.0)];
                if !numbers.is_empty() {
                    // SAFETY: the array has so many numbers of this type by the native's descriptor.
                    unsafe {
                        (self.table().v1_2.$region)(
                            self.0, array.0, 0, size(numbers.len())?, numbers.as_mut_ptr().cast(),
                        );
                    }
                }
                Ok(numbers)
            }

            pub(crate) fn $write(self, numbers: &[$element]) -> Result<$kind> {
                let len = size(numbers.len())?;
                // SAFETY: the new array has room for so many numbers of this type.
                unsafe {
                    let array = self.found((self.table().v1_2.$new)(self.0, len))?;
                    (self.table().v1_2.$set)(self.0, array, 0, len, numbers.as_ptr().cast());
                    Ok($kind(array))
                }
            }
        )*}
    };
}

arrays! {
    Bytes u8: bytes GetByteArrayRegion, new_bytes NewByteArray SetByteArrayRegion;
    Ints i32: ints GetIntArrayRegion, new_ints NewIntArray SetIntArrayRegion;
    Longs i64: longs GetLongArrayRegion, new_longs NewLongArray SetLongArrayRegion;
    Floats f32: floats GetFloatArrayRegion, new_floats NewFloatArray SetFloatArrayRegion;
}

fn size(len: usize) -> Result<jsize> {
    jsize::try_from(len).map_err(|_| invalid(format!("expected at most {} elements, got {len}", jsize::MAX)))
}
