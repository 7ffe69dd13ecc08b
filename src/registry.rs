//! How does one talk to a registry?
//!
//! By HTTP: the distribution project's specification, "Endpoints". A repository has manifests,
//! called by tags or digests, and blobs, called by digests. What is broken on the way can be told
//! from what is refused: only the first is worth another try.
//!
//! | file | its question |
//! |---|---|
//! | `client.rs` | how does one ask a server, and not wait for ever? |
//! | `auth.rs` | how does a registry come to know who asks? |
//! | `login.rs` | who are we, to a registry? |
//! | `refusal.rs` | why does a registry not give what it is asked for? |
//! | `progress.rs` | how is somebody who waits told how far it is? |
//! | `several.rs` | how are several blobs on their way at once? |

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use image::manifest::{DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST};
use indicatif::ProgressBar;
use stage::{Error, Result};
use ureq::http::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, RANGE};

use crate::store::Name;
use auth::Auth;
use client::{Client, Content, Request, Response, is_final, is_here, location, origin};
use login::Login;

mod auth;
mod client;
mod login;
pub(crate) mod progress;
mod refusal;
pub(crate) mod several;

/// Where Docker Hub is.
const HUB: &str = "registry-1.docker.io";

/// How often one may be sent elsewhere.
const REDIRECTS: usize = 10;

/// How a registry is asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// By plain HTTP, and not only on this machine.
    pub plain_http: bool,
    /// How long it may be silent.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { plain_http: false, patience: Duration::from_secs(30) }
    }
}

/// What is wanted of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
}

/// Why there is no answer, or not the one that was hoped for.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection broke, or the registry is not well: it can be tried again.
    Broken(Error),
    /// It would be the same again.
    Refused(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Refused(error)
    }
}

impl Trouble {
    /// For whom there is no other try.
    pub(crate) fn error(self) -> Error {
        match self {
            Trouble::Broken(error) | Trouble::Refused(error) => error,
        }
    }
}

/// One repository of a registry.
#[derive(Debug)]
pub(crate) struct Registry {
    client: Client,
    auth: Auth,
    /// As people call it.
    name: String,
    /// `https://HOST/v2/PATH`
    base: String,
}

/// A blob, or the rest of it, as it is sent.
pub(crate) struct Blob {
    /// How many bytes of it are left out.
    pub(crate) from: u64,
    pub(crate) reader: Box<dyn Read + Send>,
}

impl Registry {
    /// Find out how the registry of `name` can be talked to.
    pub(crate) fn connect(
        name: &Name,
        access: Access,
        options: &Options,
    ) -> Result<Registry> {
        let host = match name.registry() {
            "docker.io" => HUB,
            other => other,
        };
        let client = Client::new(options.patience, options.plain_http);
        let origin = find_origin(&client, host, options.plain_http)?;
        let path = name.path();
        let actions = if access == Access::Pull { "pull" } else { "pull,push" };
        let login = Login::at(name.registry())?;
        Ok(Registry {
            client,
            auth: Auth::new(format!("repository:{path}:{actions}"), login),
            name: name.registry().into(),
            base: format!("{origin}/v2/{path}"),
        })
    }

    /// The manifest or the index `reference`, and what the registry says it is.
    pub(crate) fn manifest(&self, reference: &str) -> Result<(String, Vec<u8>), Trouble> {
        let mut request = Request::get(format!("{}/manifests/{reference}", self.base));
        let types = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];
        request.header(ACCEPT, types.join(", "));
        let mut answer = self.ask(&request)?;
        if answer.status() != 200 {
            return Err(self.refusal(&mut answer, &format!("image \"{reference}\"")));
        }
        let media_type = answer.headers().get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).unwrap_or("");
        let media_type = media_type.split(';').next().unwrap_or("").trim().to_string();
        Ok((media_type, self.client.text(&self.base, &mut answer)?))
    }

    /// The bytes of `blob` without the first `from`; the registry may send these as well.
    pub(crate) fn blob(&self, blob: &Descriptor, from: u64) -> Result<Blob, Trouble> {
        let mut request = self.about(blob, "GET");
        if from > 0 {
            request.header(RANGE, format!("bytes={from}-"));
        }
        let mut answer = self.ask(&request)?;
        let sent = |from, answer: Response| Blob {
            from,
            reader: Box::new(answer.into_body().into_reader()),
        };
        match answer.status().as_u16() {
            200 => Ok(sent(0, answer)),
            206 if begins_at(&answer) == Some(from) => Ok(sent(from, answer)),
            // Ranges, or this one, are not for it.
            206 | 416 if from > 0 => self.blob(blob, 0),
            _ => Err(self.refusal(&mut answer, &format!("blob {}", blob.digest))),
        }
    }

    /// Whether the registry has `blob`.
    pub(crate) fn has(&self, blob: &Descriptor) -> Result<bool, Trouble> {
        let mut answer = self.ask(&self.about(blob, "HEAD"))?;
        match answer.status().as_u16() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refusal(&mut answer, &format!("blob {}", blob.digest))),
        }
    }

    /// Send `blob`, which is the file `path`.
    pub(crate) fn upload(
        &self,
        blob: &Descriptor,
        path: PathBuf,
        bar: &ProgressBar,
    ) -> Result<(), Trouble> {
        let what = format!("place for blob {}", blob.digest);
        let begin = Request::new("POST", format!("{}/blobs/uploads/", self.base));
        let mut answer = self.ask(&begin)?;
        let place = match answer.status().as_u16() {
            202 => location(&begin.url, &answer)?,
            _ => return Err(self.refusal(&mut answer, &what)),
        };
        let place = place.ok_or_else(|| self.says(format!("there is no {what}")))?;
        let mark = if place.contains('?') { '&' } else { '?' };
        let mut send =
            Request::new("PUT", format!("{place}{mark}digest={}", blob.digest));
        let content = Content::File(path, blob.size, bar.clone());
        send.content("application/octet-stream", content);
        let mut answer = self.ask(&send)?;
        match answer.status().as_u16() {
            201 => Ok(()),
            _ => Err(self.refusal(&mut answer, &what)),
        }
    }

    /// Let the manifest `text` be called `tag`.
    pub(crate) fn put_manifest(
        &self,
        media_type: &str,
        text: Vec<u8>,
        tag: &str,
    ) -> Result<(), Trouble> {
        let mut request = Request::new("PUT", format!("{}/manifests/{tag}", self.base));
        request.content(media_type, Content::Text(text));
        let mut answer = self.ask(&request)?;
        match answer.status().as_u16() {
            201 => Ok(()),
            _ => Err(self.refusal(&mut answer, "place for the manifest")),
        }
    }

    /// The connection broke while we were reading.
    pub(crate) fn broken(&self, error: std::io::Error) -> Trouble {
        Trouble::Broken(self.client.failed(&self.base, &ureq::Error::from(error)))
    }

    fn about(&self, blob: &Descriptor, method: &'static str) -> Request {
        Request::new(method, format!("{}/blobs/{}", self.base, blob.digest))
    }

    /// Ask, and once more if we are to say first who we are.
    fn ask(&self, request: &Request) -> Result<Response, Trouble> {
        let answer = self.follow(request)?;
        match answer.status() == 401 && self.auth.meet(&self.client, &answer)? {
            true => self.follow(request),
            false => Ok(answer),
        }
    }

    /// Ask, also where we are sent to. Who we are is told to the registry and nobody else.
    fn follow(&self, request: &Request) -> Result<Response, Trouble> {
        let mut url = request.url.clone();
        for _ in 0..REDIRECTS {
            let known = origin(&url).is_some() && origin(&url) == origin(&self.base);
            let header = known.then(|| self.auth.header()).flatten();
            let answer = self.client.send(request, &url, header).map_err(|error| {
                let refused = matches!(error, ureq::Error::RequireHttpsOnly(_));
                let line = self.client.failed(&url, &error);
                if refused { Trouble::Refused(line) } else { Trouble::Broken(line) }
            })?;
            if !(answer.status().is_redirection() && request.is_look()) {
                return Ok(answer);
            }
            let Some(place) = location(&url, &answer)? else { return Ok(answer) };
            url = place;
        }
        Err(self.says("it sends us from one place to the next".into()).into())
    }

    /// Why there is no `what`.
    fn refusal(&self, answer: &mut Response, what: &str) -> Trouble {
        let status = answer.status().as_u16();
        let said = self.client.text(&self.base, answer).ok();
        let reason = said.and_then(|text| refusal::reason(&text)).unwrap_or_default();
        let line = self.says(format!("{}{reason}", refusal::words(status, what)));
        let line = match status {
            401 | 403 | 429 => line.hint(self.auth.advice()),
            _ => line,
        };
        match status {
            429 | 500.. => Trouble::Broken(line),
            _ => Trouble::Refused(line),
        }
    }

    fn says(&self, what: String) -> Error {
        let path = self.base.split_once("/v2/").map_or("", |(_, path)| path);
        Error::input(format!("{}/{path}: {what}", self.name))
    }
}

/// `https://HOST`, or with plain HTTP if that is asked for, or if nobody is on the way and the
/// other is not spoken there.
fn find_origin(client: &Client, host: &str, plain_http: bool) -> Result<String> {
    let [safe, plain] = ["https", "http"].map(|scheme| format!("{scheme}://{host}"));
    let here = plain.parse().is_ok_and(|uri| is_here(&uri));
    let ask = |origin: String| {
        let request = Request::get(format!("{origin}/v2/"));
        let answer = client.send(&request, &request.url, None)?;
        Ok((origin, answer.status()))
    };
    let answer = match plain_http {
        true => ask(plain),
        // Who speaks TLS and cannot be trusted is not asked in another way.
        false => ask(safe).or_else(|error| match here && !is_final(&error) {
            true => ask(plain),
            false => Err(error),
        }),
    };
    match answer {
        Ok((_, status)) if status == 404 => {
            Err(Error::input(format!("{host} is no registry: it has no /v2/")))
        }
        Ok((origin, _)) => Ok(origin),
        Err(error) => Err(client.failed(&format!("https://{host}"), &error)),
    }
}

/// `Content-Range: bytes 5-9/10` begins at 5.
fn begins_at(answer: &Response) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
