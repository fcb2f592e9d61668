//! Room for as many sockets as the configuration allows.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a process needs besides its media ports: SIP and HTTP connections, files, the runtime.
const OTHERS: u64 = 1024;

/// Raises the soft limit of open descriptors as far as the hard one allows, and says so where that is not enough for
/// `media_ports` sockets: a leg that finds no descriptor is refused.
pub(crate) fn raise(media_ports: u64) {
    let wanted = media_ports + OTHERS;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let goal = wanted.min(hard);
    if goal > soft
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, goal, hard)
    {
        tracing::warn!(%error, soft, goal, "cannot raise the limit of open descriptors");
    }
    if hard < wanted {
        tracing::warn!(
            hard,
            wanted,
            "fewer open descriptors are allowed than media.ports may need: raise LimitNOFILE or narrow media.ports"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        raise(0);
        raise(before);
        let (after, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(after >= before);
        assert_eq!(after, (before + OTHERS).min(hard).max(before));
    }
}
