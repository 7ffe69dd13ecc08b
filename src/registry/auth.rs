//! How does a registry come to know who asks?
//!
//! It answers 401 and says in `WWW-Authenticate` what it wants: a name and a password (Basic), or
//! a token, and where there are tokens (Bearer). Who has no password asks there without one:
//! tokens for what is public are for everybody. Read the distribution project's "Token
//! Authentication Specification", and RFC 9110, 11.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use image::shown;
use serde::Deserialize;
use stage::{Error, Result};

use super::client::{Client, Request, Response};
use super::login::Login;

/// What we say of ourselves to one registry.
#[derive(Debug)]
pub(super) struct Auth {
    /// What we want there: `repository:library/debian:pull`.
    scope: String,
    login: Option<Login>,
    /// The header `Authorization`, when we know which.
    header: Mutex<Option<String>>,
}

/// What a registry wants.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

/// What the place for tokens answers. Some call it this, some that.
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Auth {
    pub(super) fn new(scope: String, login: Option<Login>) -> Auth {
        Auth { scope, login, header: Mutex::new(None) }
    }

    /// What to send as `Authorization`.
    pub(super) fn header(&self) -> Option<String> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Do what `answer`, a 401, asks for. False if we cannot.
    pub(super) fn meet(&self, client: &Client, answer: &Response) -> Result<bool> {
        let header = match challenge(answer) {
            Some(Challenge::Basic) => self.login.as_ref().map(Login::basic),
            Some(Challenge::Bearer { realm, service }) => {
                let token = self.token(client, &realm, service.as_deref())?;
                Some(format!("Bearer {token}"))
            }
            None => None,
        };
        let can = header.is_some();
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = header;
        Ok(can)
    }

    /// What to do about a refusal.
    pub(super) fn advice(&self) -> String {
        let log_in = "`podman login` or `docker login` writes down who you are \
            (we ask no credential helper)";
        match &self.login {
            Some(login) => format!("{} says who you are; {log_in}", login.source),
            None => log_in.into(),
        }
    }

    fn token(
        &self,
        client: &Client,
        realm: &str,
        service: Option<&str>,
    ) -> Result<String> {
        let service = service.map(|name| format!("service={}&", escaped(name)));
        let (service, scope) = (service.unwrap_or_default(), escaped(&self.scope));
        let mark = if realm.contains('?') { '&' } else { '?' };
        let request = Request::get(format!("{realm}{mark}{service}scope={scope}"));
        let login = self.login.as_ref().map(Login::basic);
        let answer = client.send(&request, &request.url, login);
        let mut answer = answer.map_err(|error| client.failed(realm, &error))?;
        let status = answer.status().as_u16();
        if status != 200 {
            let place = shown(realm);
            let refused = format!("{place} gives us no token: it answers {status}");
            return Err(Error::input(refused).hint(self.advice()));
        }
        let text = client.text(realm, &mut answer)?;
        let answer: Option<Answer> = serde_json::from_slice(&text).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        token.ok_or_else(|| {
            Error::input(format!("{} answers, but with no token", shown(realm)))
        })
    }
}

/// A token rather than a password, where there is a choice.
fn challenge(answer: &Response) -> Option<Challenge> {
    let headers = answer.headers().get_all("www-authenticate").iter();
    let challenges = headers.filter_map(|value| read(value.to_str().ok()?));
    challenges.max_by_key(|challenge| *challenge != Challenge::Basic)
}

fn read(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let mut said = parameters(rest);
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => {
            let realm = said.remove("realm")?;
            Some(Challenge::Bearer { realm, service: said.remove("service") })
        }
        _ => None,
    }
}

/// `name="value",name=value`: what stands in quotes may hold a comma.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let (mut found, mut rest) = (BTreeMap::new(), text);
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_once(',').unwrap_or((value, "")),
        };
        found.insert(name.trim().to_ascii_lowercase(), value.trim().to_string());
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

/// As it may stand in a URL's query.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
    let escape = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            let service = service.map(String::from);
            Some(Challenge::Bearer { realm: realm.into(), service })
        };
        let hub = "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",\
            scope=\"repository:a/b:pull,push\"";
        assert_eq!(
            read(hub),
            bearer("https://auth.docker.io/token", Some("registry.docker.io"))
        );
        assert_eq!(
            read("bearer realm=http://a/b, service=c"),
            bearer("http://a/b", Some("c"))
        );
        assert_eq!(read("Bearer scope=\"a,b\", realm=\"x\""), bearer("x", None));
        assert_eq!(read("Basic realm=\"x\""), Some(Challenge::Basic));
        for no in ["", "Bearer", "Bearer service=\"x\"", "Negotiate", "=\"", "Bearer \"="]
        {
            assert_eq!(read(no), None, "{no}");
        }
    }

    #[test]
    fn a_query_has_no_room_for_more_than_its_value() {
        assert_eq!(escaped("repository:a/b:pull,push"), "repository:a/b:pull,push");
        assert_eq!(escaped("a&b=c d#é"), "a%26b%3Dc%20d%23%C3%A9");
    }
}
