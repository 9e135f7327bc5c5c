//! Numbers of `selvedge/crash.h`.

numbers! {
    SELVEDGE_EXIT_NATIVE_CRASH = 1;
    SELVEDGE_EXIT_OTHERWISE = 2;
}
