//! Who is at the browser: sessions, and what binds a form to one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::admin::Who;

/// Most people signed in at a time; when one more comes, the one who was idle longest goes.
const MOST_SESSIONS: usize = 128;
/// How long a session lives without a request.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// How long a session lives at all.
const LIFE: Duration = Duration::from_secs(12 * 60 * 60);

/// A browser's secret: 256 random bits. What stands in its cookie.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SessionId([u8; 32]);

impl SessionId {
    /// One that nobody has.
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    /// One from a cookie.
    pub(super) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// As it stands in a cookie.
    pub(super) fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Who is signed in, and what proves that a form is theirs. A restart ends every session.
pub(super) struct Sessions {
    /// Of this process alone.
    key: [u8; 32],
    signed_in: Mutex<HashMap<[u8; 32], Session>>,
}

struct Session {
    who: Who,
    began: Instant,
    used: Instant,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self { key: rand::random(), signed_in: Mutex::new(HashMap::new()) }
    }

    /// Starts a session for somebody who has shown who they are, under an id of its own: whoever knew the one before knows
    /// nothing.
    pub(super) fn begin(&self, who: Who, now: Instant) -> SessionId {
        let id = SessionId::random();
        let mut signed_in = self.lock();
        signed_in.retain(|_, session| session.lives(now));
        if signed_in.len() >= MOST_SESSIONS {
            let idle = signed_in.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key);
            idle.and_then(|key| signed_in.remove(&key));
        }
        signed_in.insert(self.name(&id), Session { who, began: now, used: now });
        id
    }

    /// Whose session it is, while it lives. `by_hand`: somebody clicked, so that it does not end for idleness.
    pub(super) fn who(&self, id: &SessionId, by_hand: bool, now: Instant) -> Option<Who> {
        let name = self.name(id);
        let mut signed_in = self.lock();
        let session = signed_in.get_mut(&name)?;
        if !session.lives(now) {
            signed_in.remove(&name);
            return None;
        }
        if by_hand {
            session.used = now;
        }
        Some(session.who.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &SessionId) {
        self.lock().remove(&self.name(id));
    }

    /// What a form of this session carries.
    pub(super) fn form_token(&self, id: &SessionId) -> String {
        self.seal(id, "form", &[])
    }

    /// Whether a form is of this session.
    pub(super) fn is_form_token(&self, id: &SessionId, token: &str) -> bool {
        same(&self.form_token(id), token)
    }

    /// What proves that this session was shown what would follow from these parts.
    pub(super) fn plan_seal(&self, id: &SessionId, parts: &[&str]) -> String {
        self.seal(id, "plan", parts)
    }

    /// Whether it proves that.
    pub(super) fn is_plan_seal(&self, id: &SessionId, parts: &[&str], seal: &str) -> bool {
        same(&self.plan_seal(id, parts), seal)
    }

    fn seal(&self, id: &SessionId, purpose: &str, parts: &[&str]) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(id, purpose, parts))
    }

    /// The name under which a session is kept: how long it takes to find tells nothing of the id.
    fn name(&self, id: &SessionId) -> [u8; 32] {
        self.mac(id, "session", &[])
    }

    fn mac(&self, id: &SessionId, purpose: &str, parts: &[&str]) -> [u8; 32] {
        // HMAC takes keys of any length.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes any key");
        mac.update(&id.0);
        for part in [purpose].iter().chain(parts) {
            // Each with its length, so that no two lists of parts read alike.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.signed_in.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.began) < LIFE
    }
}

/// In a time that does not tell where they differ.
fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Credential;
    use crate::config::Access;

    fn somebody() -> Who {
        Who { by: Credential::Token, name: "night-shift".into(), access: Access::Full }
    }

    #[test]
    fn a_session_ends_when_it_is_idle_for_an_hour_and_after_half_a_day_in_any_case() {
        let sessions = Sessions::new();
        let began = Instant::now();
        let minute = |n: u64| began + Duration::from_secs(n * 60);
        let id = sessions.begin(somebody(), began);
        for n in 1..=13 {
            assert_eq!(sessions.who(&id, true, minute(n * 55)), Some(somebody()));
        }
        assert_eq!(sessions.who(&id, true, minute(12 * 60)), None, "half a day is over");

        let id = sessions.begin(somebody(), began);
        assert!(sessions.who(&id, false, minute(55)).is_some(), "a page that renews itself is served");
        assert_eq!(sessions.who(&id, true, minute(60)), None, "and keeps no session alive");
    }

    #[test]
    fn with_too_many_sessions_the_one_that_was_idle_longest_goes() {
        let sessions = Sessions::new();
        let began = Instant::now();
        let second = |n: usize| began + Duration::from_secs(n as u64);
        let ids: Vec<_> = (0..MOST_SESSIONS).map(|n| sessions.begin(somebody(), second(n))).collect();
        let later = second(MOST_SESSIONS);
        assert!(sessions.who(&ids[0], true, later).is_some());
        let one_more = sessions.begin(somebody(), later);
        assert!(sessions.who(&one_more, true, later).is_some());
        assert!(sessions.who(&ids[0], true, later).is_some());
        assert!(sessions.who(&ids[1], true, later).is_none());
        assert_eq!(sessions.lock().len(), MOST_SESSIONS);
    }

    #[test]
    fn a_session_that_was_ended_is_nobodys() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let (id, other) = (sessions.begin(somebody(), now), sessions.begin(somebody(), now));
        sessions.end(&id);
        assert_eq!(sessions.who(&id, true, now), None);
        assert!(sessions.who(&other, true, now).is_some());
    }

    #[test]
    fn what_one_session_was_given_is_worth_nothing_in_another_or_for_anything_else() {
        let sessions = Sessions::new();
        let (mine, theirs) = (SessionId::random(), SessionId::random());
        let token = sessions.form_token(&mine);
        assert!(sessions.is_form_token(&mine, &token));
        assert!(!sessions.is_form_token(&theirs, &token));
        assert!(!sessions.is_form_token(&mine, ""));
        assert!(!sessions.is_form_token(&mine, &sessions.plan_seal(&mine, &[])));
        assert!(!Sessions::new().is_form_token(&mine, &token));

        let seal = sessions.plan_seal(&mine, &["3", "rules: []"]);
        assert!(sessions.is_plan_seal(&mine, &["3", "rules: []"], &seal));
        assert!(!sessions.is_plan_seal(&mine, &["4", "rules: []"], &seal));
        assert!(!sessions.is_plan_seal(&mine, &["3r", "ules: []"], &seal));
    }

    #[test]
    fn an_id_survives_its_cookie_and_nothing_else_is_one() {
        let id = SessionId::random();
        assert!(SessionId::parse(&id.expose()) == Some(id));
        for text in ["", "x", "AAAA", &"A".repeat(200)] {
            assert!(SessionId::parse(text).is_none(), "{text}");
        }
    }
}
