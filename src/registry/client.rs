//! How does one ask a server, and not wait for ever?
//!
//! HTTP by ureq, TLS by rustls, which trusts whom the machine trusts (/etc/ssl/certs, or what
//! SSL_CERT_FILE and SSL_CERT_DIR name): a company's registry needs no second list. A proxy is
//! taken from HTTPS_PROXY and the like, but never to this machine itself. Redirects are followed
//! here, because what we say of ourselves is for one registry only.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use image::shown;
use indicatif::ProgressBar;
use rustls::crypto::ring;
use stage::{Error, Result};
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, LOCATION,
};
use ureq::http::{self, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy, SendBody};

use crate::bars::Watched;

pub(super) type Response = http::Response<ureq::Body>;

/// The longest text that is worth reading: a manifest of more may be refused (the distribution
/// specification, "Pushing Manifests").
const LONGEST_TEXT: u64 = 4 << 20;

/// Asks servers.
#[derive(Debug, Clone)]
pub(super) struct Client {
    through_proxy: Agent,
    direct: Agent,
    patience: Duration,
    /// Plain HTTP is not only for this machine.
    plain_http: bool,
}

/// A question. It can be asked once more.
#[derive(Debug)]
pub(super) struct Request {
    method: &'static str,
    pub(super) url: String,
    headers: Vec<(HeaderName, String)>,
    content: Content,
}

/// What is sent along.
#[derive(Debug)]
pub(super) enum Content {
    Nothing,
    Text(Vec<u8>),
    /// A file, how long it is, and who is to be told how far it has gone.
    File(PathBuf, u64, ProgressBar),
}

impl Request {
    pub(super) fn new(method: &'static str, url: String) -> Request {
        Request { method, url, headers: vec![], content: Content::Nothing }
    }

    pub(super) fn get(url: String) -> Request {
        Request::new("GET", url)
    }

    pub(super) fn header(&mut self, name: HeaderName, value: String) {
        self.headers.push((name, value));
    }

    pub(super) fn content(&mut self, media_type: &str, content: Content) {
        self.header(CONTENT_TYPE, media_type.into());
        self.content = content;
    }

    /// It only looks: then a redirect may be followed.
    pub(super) fn is_look(&self) -> bool {
        ["GET", "HEAD"].contains(&self.method)
    }
}

impl Client {
    pub(super) fn new(patience: Duration, plain_http: bool) -> Client {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let agent = |proxy| {
            let silence = Some(patience);
            // Whoever looks up names has a patience of its own, resolv.conf(5); to have ours, ureq
            // would start a thread, and panic where there can be none.
            let config = Agent::config_builder()
                .tls_config(tls.clone())
                .proxy(proxy)
                .http_status_as_error(false)
                .max_redirects(0)
                .user_agent(concat!("fakedocker/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(silence)
                .timeout_recv_response(silence)
                .timeout_per_read(silence)
                .timeout_per_write(silence);
            Agent::new_with_config(config.build())
        };
        let (through_proxy, direct) = (agent(Proxy::try_from_env()), agent(None));
        Client { through_proxy, direct, patience, plain_http }
    }

    /// Ask at `url`, which is the request's, or where that has led to. The answer may be any.
    pub(super) fn send(
        &self,
        request: &Request,
        url: &str,
        authorization: Option<String>,
    ) -> Result<Response, ureq::Error> {
        let uri: Uri = url.parse().map_err(http::Error::from)?;
        if !self.may_be_asked(&uri) {
            return Err(ureq::Error::RequireHttpsOnly(url.into()));
        }
        let agent = if is_here(&uri) { &self.direct } else { &self.through_proxy };
        let mut builder = http::Request::builder().method(request.method).uri(uri);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(value) = authorization {
            builder = builder.header(AUTHORIZATION, value);
        }
        match &request.content {
            Content::Nothing if request.is_look() => agent.run(builder.body(())?),
            Content::Nothing => agent.run(builder.body(&b""[..])?),
            Content::Text(text) => agent.run(builder.body(text)?),
            Content::File(path, length, bar) => {
                bar.reset();
                let mut reader = Watched::new(File::open(path)?, bar);
                let builder = builder.header(CONTENT_LENGTH, length.to_string());
                agent.run(builder.body(SendBody::from_reader(&mut reader))?)
            }
        }
    }

    /// A text that was sent, if it is not too long.
    pub(super) fn text(&self, url: &str, answer: &mut Response) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(LONGEST_TEXT + 1);
        let read = reader.read_to_end(&mut text);
        read.map_err(|error| self.failed(url, &ureq::Error::from(error)))?;
        match text.len() as u64 {
            0..=LONGEST_TEXT => Ok(text),
            _ => Err(Error::input(format!(
                "the registry sends a text of more than {LONGEST_TEXT} bytes"
            ))),
        }
    }

    /// Nobody may listen on the way, unless the user says so, or there is no way.
    fn may_be_asked(&self, uri: &Uri) -> bool {
        uri.scheme_str() == Some("https") || self.plain_http || is_here(uri)
    }

    /// One line about why `url` could not be asked.
    pub(super) fn failed(&self, url: &str, error: &ureq::Error) -> Error {
        let host = shown(authority(url).unwrap_or("the registry"));
        match error {
            ureq::Error::Io(error) => match error.get_ref().and_then(inner) {
                Some(inner) => self.failed(url, inner),
                None => failed_io(&host, error),
            },
            ureq::Error::Timeout(_) => Error::input(format!(
                "{host} has been silent for {} s",
                self.patience.as_secs_f32()
            ))
            .hint("--timeout SECONDS gives it more time"),
            ureq::Error::HostNotFound => {
                Error::input(format!("there is no host called {host}"))
            }
            ureq::Error::RequireHttpsOnly(_) => Error::input(format!(
                "{host} is to be asked by plain HTTP"
            ))
            .hint("--plain-http allows that; everybody on the way can listen then"),
            other => Error::input(format!("{host}: {}", shown(other.to_string()))),
        }
    }
}

fn failed_io(host: &str, error: &io::Error) -> Error {
    let line = match error.kind() {
        // Not the pipe that our own output goes to.
        ErrorKind::BrokenPipe => Error::input(format!("{host} has hung up")),
        _ => Error::io(host, error),
    };
    match error.get_ref().is_some_and(|error| is_about_a_certificate(error)) {
        true => line.hint(
            "whom this machine trusts is in /etc/ssl/certs; SSL_CERT_FILE names another list",
        ),
        false => line,
    }
}

/// Whether it is of no use to ask the same host in another way.
pub(super) fn is_final(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => {
            let error = error.get_ref();
            error.and_then(inner).is_some_and(is_final)
                || error.is_some_and(|error| is_about_a_certificate(error))
        }
        ureq::Error::HostNotFound => true,
        ureq::Error::Rustls(error) => is_about_a_certificate(error),
        _ => false,
    }
}

fn is_about_a_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
}

type Boxed = dyn std::error::Error + Send + Sync;

/// An error that ureq has put into one of the standard library's.
fn inner(error: &Boxed) -> Option<&ureq::Error> {
    error.downcast_ref()
}

/// The place that `answer` sends us to from `url`, if it does.
pub(super) fn location(url: &str, answer: &Response) -> Result<Option<String>> {
    let Some(place) = answer.headers().get(LOCATION) else { return Ok(None) };
    let place = place.to_str().unwrap_or_default();
    let origin = origin(url).unwrap_or_default();
    let place = match place {
        _ if place.starts_with("http://") || place.starts_with("https://") => {
            place.into()
        }
        _ if place.starts_with("//") => format!("{}{place}", scheme(url)),
        _ if place.starts_with('/') => format!("{origin}{place}"),
        _ => {
            let sends = format!("{} sends us to \"{}\"", shown(origin), shown(place));
            return Err(Error::input(sends));
        }
    };
    Ok(Some(place))
}

fn scheme(url: &str) -> &str {
    url.split_inclusive(':').next().unwrap_or_default()
}

/// `https://host:port`
pub(super) fn origin(url: &str) -> Option<&str> {
    let start = url.find("://")? + "://".len();
    let length = url[start..].find(['/', '?', '#']).unwrap_or(url.len() - start);
    Some(&url[..start + length])
}

fn authority(url: &str) -> Option<&str> {
    Some(origin(url)?.split_once("://")?.1)
}

/// Whether it is this machine.
pub(super) fn is_here(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led_to(from: &str, place: &str) -> Result<Option<String>> {
        let answer = http::Response::builder().header(LOCATION, place);
        location(from, &answer.body(ureq::Body::builder().data("")).unwrap())
    }

    #[test]
    fn places_are_whole_or_begin_at_the_host() {
        let from = "https://a.b:1/v2/c";
        for (place, whole) in [
            ("/v2/x?y=z", "https://a.b:1/v2/x?y=z"),
            ("https://d/e", "https://d/e"),
            ("http://d/e", "http://d/e"),
            ("//d/e", "https://d/e"),
        ] {
            assert_eq!(led_to(from, place).unwrap().as_deref(), Some(whole));
        }
        for nowhere in ["", "x", "ftp://d/e", "javascript:x"] {
            assert!(led_to(from, nowhere).is_err(), "{nowhere}");
        }
    }

    #[test]
    fn an_origin_is_more_than_a_beginning() {
        let base = origin("http://localhost:5000/v2/a");
        for other in [
            "http://localhost:5000@evil.org/v2/",
            "http://localhost:50001/v2/",
            "http://localhost:5000.evil.org/",
            "https://localhost:5000/v2/",
            "http://localhost/v2/",
        ] {
            assert_ne!(origin(other), base, "{other}");
        }
        assert_eq!(origin("http://localhost:5000?x"), base);
    }

    #[test]
    fn only_this_machine_is_here() {
        let here = |url: &str| is_here(&url.parse().unwrap());
        for url in [
            "http://127.0.0.1/",
            "http://127.9.9.9:1/",
            "http://[::1]:5/",
            "http://LOCALHOST/",
        ] {
            assert!(here(url), "{url}");
        }
        for url in
            ["http://128.0.0.1/", "http://localhost.evil.org/", "http://127.0.0.1@a.b/"]
        {
            assert!(!here(url), "{url}");
        }
    }
}
