//! The `partyline` binary: see [`server::cli`].

/// In a debug build the media threads' tick aborts the process on its first allocation, so that every end-to-end test
/// run proves the rule.
#[cfg(debug_assertions)]
#[global_allocator]
static ALLOCATOR: mixer::guard::GuardedAllocator = mixer::guard::GuardedAllocator;

fn main() -> std::process::ExitCode {
    server::cli::main()
}
