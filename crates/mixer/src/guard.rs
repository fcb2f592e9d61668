//! The real-time rule as a program: while a tick runs, the allocator aborts on the first allocation or free and names it; on a media
//! thread also on every free between ticks.
//!
//! A binary installs the allocator once:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;
//! # drop(String::from("served by the guarded allocator"));
//! # assert_eq!(mixer::guard::installed(), mixer::guard::COMPILED_IN);
//! ```
//!
//! [`crate::Conference::tick`] arms it for its own thread, and so does a leg for each packet of RTP and RTCP that it takes, and
//! for each report that it writes. It sees what Rust allocates, and not what a C library does: libopus is asked for nothing in
//! there that would. Arming is compiled in wherever `debug_assertions` are on, so that every test, every simulation and every debug server that installs the allocator is guarded without anyone remembering a
//! feature; a release build costs nothing unless feature `tick-guard` asks for it (a soak of the optimised code). The choice of
//! two switches is on purpose: a cargo feature alone would be off in `cargo test -p` of a crate that forgot it.
//!
//! This is the one module of the crate with `unsafe`. Proof of soundness: [`GuardedAllocator`] passes every call on to
//! [`System`] with unchanged arguments and returns its result unchanged, so it keeps the contract of [`GlobalAlloc`] exactly
//! when `System` does; what it does besides is to read a `const`-initialised thread-local without destructor (which neither
//! allocates nor registers anything, so it cannot recurse) and to abort, which is always allowed.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    static ARMED: Cell<u32> = const { Cell::new(0) };
    static KEEPING: Cell<u32> = const { Cell::new(0) };
}

/// A thread-local that counts how deep a thread is in what it must not do something in.
type Depth = std::thread::LocalKey<Cell<u32>>;

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// True where arming is compiled in: in every build with `debug_assertions`, and with feature `tick-guard`.
pub const COMPILED_IN: bool = cfg!(any(debug_assertions, feature = "tick-guard"));

/// True once the guarded allocator has served this process: a test that relies on the guard asserts this first.
pub fn installed() -> bool {
    INSTALLED.load(Ordering::Relaxed)
}

/// Runs `tick` with the guard armed for this thread. It may be nested.
#[inline]
pub fn armed<T>(tick: impl FnOnce() -> T) -> T {
    let _armed = COMPILED_IN.then(|| Armed::new(&ARMED));
    tick()
}

/// Runs `turn`, which may allocate and may not free, with the guard armed against that for this thread. It may be nested.
#[inline]
pub fn without_free<T>(turn: impl FnOnce() -> T) -> T {
    let _armed = COMPILED_IN.then(|| Armed::new(&KEEPING));
    turn()
}

/// Something whose memory the allocator does not see is about to be freed.
#[inline]
pub(crate) fn frees(what: &str) {
    if COMPILED_IN {
        check(what, None, true);
    }
}

/// The system's allocator, guarded.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardedAllocator;

// SAFETY: see the module's proof: every method is `System`'s, with unchanged arguments and result.
unsafe impl GlobalAlloc for GuardedAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check("allocation", Some(layout.size()), false);
        // SAFETY: the caller's promise to us is the promise that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check("allocation", Some(layout.size()), false);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check("reallocation", Some(size), true);
        // SAFETY: as above; `old` came from `System` through us.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        check("free", Some(layout.size()), true);
        // SAFETY: as above; `old` came from `System` through us.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Armed while it lives, also when the tick unwinds.
struct Armed(&'static Depth);

impl Armed {
    fn new(depth: &'static Depth) -> Self {
        depth.set(depth.get() + 1);
        Self(depth)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[inline]
fn check(what: &str, bytes: Option<usize>, frees: bool) {
    if COMPILED_IN {
        if !INSTALLED.load(Ordering::Relaxed) {
            INSTALLED.store(true, Ordering::Relaxed);
        }
        // `try_with`: a thread that is ending has no thread-locals any more, and no tick either.
        let is_in = |depth: &'static Depth| depth.try_with(Cell::get).is_ok_and(|depth| depth > 0);
        if is_in(&ARMED) {
            offence(what, bytes, TICKING);
        } else if frees && is_in(&KEEPING) {
            offence(what, bytes, BETWEEN);
        }
    }
}

/// Where nothing may be allocated, and where nothing may be freed, and what to do instead.
const TICKING: &str = "inside Conference::tick, or where a leg takes or makes a packet. Nothing there ever allocates or frees: take \
                       the memory when the leg joins, or hand it back in a report.";
const BETWEEN: &str =
    "on a media thread, between ticks. It frees nothing: hand what is not needed any more to `Waste`.";

#[cold]
fn offence(what: &str, bytes: Option<usize>, place: &str) {
    // From here on allocating is allowed: the message and the backtrace need it. A panic in a tick allocates its own message;
    // that one is worth more than ours, so it passes.
    let depths = (ARMED.replace(0), KEEPING.replace(0));
    if std::thread::panicking() {
        ARMED.set(depths.0);
        KEEPING.set(depths.1);
        return;
    }
    let trace = std::backtrace::Backtrace::force_capture();
    let bytes = bytes.map(|bytes| format!(" of {bytes} bytes")).unwrap_or_default();
    let text = format!("mixer::guard: {what}{bytes} {place}\n{trace}\n");
    let _ = std::io::stderr().write_all(text.as_bytes()); // nothing more can be done: we abort
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For Miri, which sees what a test binary's own allocations do not: `cargo +nightly miri test -p mixer --lib guard`.
    #[test]
    fn memory_is_served_grown_and_given_back_as_the_system_does() {
        let layout = Layout::from_size_align(48, 16).expect("a power of two");
        // SAFETY: the layout has a size, each pointer is used within the size that it was asked for with, and is given back once
        // with the layout that it has then.
        unsafe {
            for memory in [GuardedAllocator.alloc(layout), GuardedAllocator.alloc_zeroed(layout)] {
                assert!(!memory.is_null() && memory.addr().is_multiple_of(16));
                memory.write_bytes(7, 48);
                let grown = GuardedAllocator.realloc(memory, layout, 4_096);
                assert_eq!((grown.read(), grown.add(47).read()), (7, 7));
                grown.add(4_095).write(9);
                GuardedAllocator.dealloc(grown, Layout::from_size_align(4_096, 16).expect("a power of two"));
            }
        }
    }

    #[test]
    fn armed_gives_back_what_the_tick_gives_and_may_be_nested() {
        let depth = armed(|| armed(|| ARMED.get()));
        assert_eq!(depth, 2);
        assert_eq!(ARMED.get(), 0);
        let depths = without_free(|| armed(|| (KEEPING.get(), ARMED.get())));
        assert_eq!((depths, KEEPING.get()), ((1, 1), 0));
    }

    #[test]
    fn a_panic_in_the_tick_disarms_the_guard() {
        let unwound = std::panic::catch_unwind(|| armed(|| panic!("our own bug")));
        assert!(unwound.is_err());
        assert_eq!(ARMED.get(), 0);
    }
}
