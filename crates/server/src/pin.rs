//! Organizers' PINs: how they are hashed, and how a keyed one is checked against a hash.
//!
//! Argon2id (RFC 9106) with 19 MiB, two passes and one lane, what OWASP's password storage cheat sheet asks for at least. A PIN has
//! few digits, so the hash only makes guessing slow for who has stolen the file; what stops a caller who guesses is the bridge's
//! own defense. A check takes some 20 ms and 19 MiB: never on the control loop, and never many at once.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use bridge::{MAX_PIN_LENGTH, MIN_PIN_LENGTH};

/// Memory in KiB, passes and lanes of the hashes that are made here.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// The most memory in KiB, passes and lanes that a hash in a configuration may ask for: a check costs so much at every call.
const MOST: (u32, u32, u32) = (65_536, 8, 4);

/// What a hash in a configuration must be.
pub const EXPECTED: &str =
    "what `partyline pin hash` prints: $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH (at most m=65536,t=8,p=4)";

/// Whether this can be a PIN: 4 to 12 digits.
pub fn is_pin(text: &str) -> bool {
    (MIN_PIN_LENGTH..=MAX_PIN_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The PHC string of a PIN. The salt must be random.
pub fn hash(pin: &str, salt: [u8; 16]) -> String {
    let (memory, passes, lanes) = COST;
    hash_at(pin, salt, Params::new(memory, passes, lanes, None).expect("parameters within their limits"))
}

/// A hash that costs next to nothing.
#[cfg(test)]
pub(crate) fn cheap_hash(pin: &str) -> String {
    hash_at(
        pin,
        [7; 16],
        Params::new(Params::MIN_M_COST, 1, 1, None).expect("parameters within their limits"),
    )
}

fn hash_at(pin: &str, salt: [u8; 16], params: Params) -> String {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(pin.as_bytes(), &salt).expect("a salt of 16 bytes");
    hash.to_string()
}

/// Whether a keyed PIN is the one of this hash. A hash whose form is wrong has no PIN.
pub fn verify(hash: &str, pin: &str) -> bool {
    has_form(hash)
        && PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(pin.as_bytes(), &hash).is_ok())
}

/// Whether this is a hash that [`verify`] can take: argon2id, salted, at a cost that can be paid at every call.
pub fn has_form(phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let is_argon2id = Algorithm::try_from(hash.algorithm.as_str()) == Ok(Algorithm::Argon2id);
    let complete = hash.salt.is_some() && hash.hash.is_some() && hash.version == Some(19);
    let (memory, passes, lanes) = MOST;
    let payable = params.m_cost() <= memory && params.t_cost() <= passes && params.p_cost() <= lanes;
    is_argon2id && complete && payable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_the_one_of_its_hash_and_no_other() {
        let hash = hash("27182", [3; 16]);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(has_form(&hash) && !hash.contains("27182"));
        assert!(verify(&hash, "27182"));
        for wrong in ["27183", "2718", "271820", ""] {
            assert!(!verify(&hash, wrong), "{wrong}");
        }
        assert_ne!(hash, super::hash("27182", [4; 16]), "the salt counts");
        assert!(verify(&cheap_hash("1234"), "1234"));
    }

    #[test]
    fn a_hash_of_another_kind_or_beyond_all_cost_is_refused() {
        let good = cheap_hash("1234");
        for wrong in [
            String::new(),
            "1234".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=8", "m=1000000"),
            good.replace("t=1", "t=100"),
            good.rsplit_once('$').unwrap().0.to_owned(),
            "$argon2id$v=19$m=8,t=1,p=1".to_owned(),
        ] {
            assert!(!has_form(&wrong), "{wrong}");
            assert!(!verify(&wrong, "1234"), "{wrong}");
        }
    }

    #[test]
    fn a_pin_has_four_to_twelve_digits() {
        for (text, is) in [("1234", true), ("123456789012", true), ("123", false), ("1234567890123", false)] {
            assert_eq!(is_pin(text), is, "{text}");
        }
        assert!(!is_pin("12a4") && !is_pin("12 34") && !is_pin("\u{661}\u{662}"));
    }
}
