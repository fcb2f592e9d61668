//! An INVITE that takes the place of a dialog (RFC 3891).

use super::event::InviteId;
use super::reply::Refusal;
use super::usage::Usage;
use super::{Endpoint, Terms};
use crate::dialog::DialogKey;
use crate::wire::{HeaderName, Message};

/// A Replaces header: a dialog as the side that gets it knows it.
#[derive(Debug, PartialEq, Eq)]
struct Replaces {
    key: DialogKey,
    early_only: bool,
}

impl Endpoint {
    /// The leg that an INVITE wants to replace, where its sender may; `None`: it is a call of its own. An early dialog is not
    /// given away: who answers it is still open.
    pub(super) fn replaced(&self, request: &Message, terms: &Terms) -> Result<Option<InviteId>, Refusal> {
        let Some(value) = request.headers().get(HeaderName::Replaces).filter(|_| terms.accept_replaces)
        else {
            return Ok(None);
        };
        let replaces = parse(value).ok_or_else(|| Refusal::new(400, "a Replaces that cannot be read"))?;
        let found = self.dialogs.get(&replaces.key).copied();
        match found.and_then(|id| Some((id, self.usages.get(&id)?))) {
            Some((_, Usage::Up(_))) if replaces.early_only => {
                Err(Refusal::new(486, "an INVITE that replaces only an early dialog"))
            }
            Some((_, Usage::Up(up))) if up.leaving.is_some() || up.unacked.is_some() => {
                Err(Refusal::new(481, "an INVITE replaces a dialog that is ending or beginning"))
            }
            Some((id, Usage::Up(_))) => Ok(Some(id)),
            _ => Err(Refusal::new(481, "an INVITE replaces a dialog that does not exist")),
        }
    }
}

/// `call-id;to-tag=ours;from-tag=theirs;early-only`.
fn parse(value: &str) -> Option<Replaces> {
    let mut parts = value.split(';').map(str::trim);
    let call_id = parts.next().filter(|call_id| !call_id.is_empty())?.to_owned();
    let (mut to, mut from, mut early_only) = (None, None, false);
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let slot = match name.trim().to_ascii_lowercase().as_str() {
            "to-tag" => &mut to,
            "from-tag" => &mut from,
            "early-only" => {
                early_only = true;
                continue;
            }
            _ => continue,
        };
        // A tag twice is two dialogs (section 3: exactly one of each).
        if slot.replace(value.trim().to_owned()).is_some() {
            return None;
        }
    }
    let key = DialogKey { call_id, local_tag: to?, remote_tag: from? };
    Some(Replaces { key, early_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaces_names_one_dialog_or_none() {
        let found =
            parse("98732@sip.example; from-tag = r33 ;to-tag=ff87;early-only;x=y").expect("it is right");
        let key = DialogKey {
            call_id: "98732@sip.example".to_owned(),
            local_tag: "ff87".to_owned(),
            remote_tag: "r33".to_owned(),
        };
        assert_eq!(found, Replaces { key, early_only: true });
        for wrong in
            ["", ";to-tag=a;from-tag=b", "c;to-tag=a", "c;from-tag=a", "c;to-tag=a;to-tag=b;from-tag=c"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
