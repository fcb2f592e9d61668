//! The places of those who read the stream: no token gets all of them, and the tenants together leave some for the
//! deployment's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::access::Token;

/// Readers at once.
pub(crate) const READERS: usize = 64;
/// Of these, those that tokens of a tenant never get.
const RESERVED: usize = 16;

/// Who has them.
#[derive(Debug)]
pub(super) struct Readers {
    per_token: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// By the token's name.
    by_token: HashMap<String, usize>,
    all: usize,
    tenants: usize,
}

impl Readers {
    /// Each token may have so many.
    pub(super) fn new(per_token: usize) -> Arc<Self> {
        Arc::new(Self { per_token, taken: Mutex::default() })
    }

    /// A place, or why there is none.
    pub(super) fn take(self: &Arc<Self>, token: &Arc<Token>) -> Result<Seat, String> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.by_token.get(&token.name).copied().unwrap_or_default();
        if own >= self.per_token {
            let text = format!("this token reads the stream {own} times already: end one of them");
            return Err(format!("{text}; http.event_readers_per_token says how many it may have"));
        }
        if token.tenant.is_some() && taken.tenants >= READERS - RESERVED {
            let text = "tokens of tenants have all the places that they may have";
            return Err(format!("{text} ({}): come again later", READERS - RESERVED));
        }
        if taken.all >= READERS {
            return Err(format!("{READERS} readers have the stream already: come again later"));
        }
        taken.all += 1;
        taken.tenants += usize::from(token.tenant.is_some());
        *taken.by_token.entry(token.name.clone()).or_default() += 1;
        Ok(Seat { readers: Arc::clone(self), token: Arc::clone(token) })
    }
}

/// One reader's place; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    readers: Arc<Readers>,
    token: Arc<Token>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.readers.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        taken.tenants -= usize::from(self.token.tenant.is_some());
        if let Some(own) = taken.by_token.get_mut(&self.token.name) {
            *own -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::access::Role;
    use super::*;

    fn token(name: &str, tenant: Option<&str>) -> Arc<Token> {
        let tenant = tenant.map(routing::TenantId::from);
        Arc::new(Token {
            name: name.to_owned(),
            role: Role::Viewer,
            tenant,
            outside: false,
            digest: [0; 32],
            expires: None,
        })
    }

    #[test]
    fn a_token_has_its_share_of_the_readers_and_the_tenants_leave_some_for_the_deployment() {
        let readers = Readers::new(8);
        let greedy = token("greedy", Some("contoso"));
        let first: Vec<Seat> = (0..8).map(|_| readers.take(&greedy).expect("a place")).collect();
        let why = readers.take(&greedy).expect_err("eight are enough");
        assert!(why.contains("8 times") && why.contains("event_readers_per_token"), "{why}");
        let others: Vec<Seat> = (0..40)
            .map(|n| readers.take(&token(&format!("t{n}"), Some("fabrikam"))).expect("a place"))
            .collect();
        assert!(readers.take(&token("late", Some("fabrikam"))).expect_err("reserved").contains("(48)"));
        let own: Vec<Seat> =
            (0..16).map(|n| readers.take(&token(&format!("d{n}"), None)).expect("reserved")).collect();
        assert!(readers.take(&token("late", None)).expect_err("all are taken").contains("64 readers"));
        drop(first);
        readers.take(&greedy).expect("free again");
        drop((others, own));
        let taken = readers.taken.lock().unwrap();
        assert_eq!((taken.all, taken.tenants, taken.by_token["greedy"]), (0, 0, 0));
    }
}
