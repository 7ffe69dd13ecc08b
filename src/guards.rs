//! What may a container do?
//!
//! Less than root: it has some capabilities and can get no others (lesson 22), and many calls
//! are refused to it (lesson 23). Docker's defaults, but for one thing: no program in there
//! gains rights by a setuid bit, unless that is asked for.

use caps::Set;
use seccomp::{Filter, Profile};
use serde::{Deserialize, Serialize};
use stage::{Error, Result, Stage};

use crate::spec::{PRIVILEGED, Spec};

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Capabilities besides Docker's, by their names, or `ALL`.
    pub cap_add: Vec<String>,
    /// Those that are not kept.
    pub cap_drop: Vec<String>,
    /// No guards at all.
    pub privileged: bool,
    /// `no-new-privileges[=BOOL]`, `seccomp=FILE`, `seccomp=builtin`, `seccomp=unconfined`
    pub security: Vec<String>,
}

/// The capabilities of a process, as in config.md of the OCI runtime specification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What a program can have at the most.
    pub bounding: Vec<String>,
    /// What counts at first.
    pub effective: Vec<String>,
    /// What is passed on: nothing.
    pub inheritable: Vec<String>,
    /// What it may take up.
    pub permitted: Vec<String>,
    /// What is passed on to programs of others than root: nothing.
    pub ambient: Vec<String>,
}

/// What the description says about guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// For `process.capabilities`.
    pub capabilities: Capabilities,
    /// For `process.noNewPrivileges`.
    pub no_new_privileges: bool,
    /// For `linux.seccomp`; None if every call is allowed.
    pub seccomp: Option<Profile>,
    /// Whether nothing else is to keep it from anything, either.
    pub privileged: bool,
}

impl Capabilities {
    /// These, and nothing is passed on.
    pub fn of(set: Set) -> Capabilities {
        let (bounding, effective, permitted) = (set.names(), set.names(), set.names());
        Capabilities { bounding, effective, permitted, ..Capabilities::default() }
    }
}

impl Request {
    /// Refuse what cannot be, and decide about the rest.
    pub fn read(&self) -> Result<Description> {
        let chosen = caps::choose(&self.cap_add, &self.cap_drop)?;
        let set = if self.privileged { Set::all() } else { chosen };
        let profile = match self.privileged {
            true => "unconfined",
            false => "builtin",
        };
        let (mut no_new_privileges, mut profile) = (!self.privileged, profile);
        for option in &self.security {
            match option.split_once(['=', ':']).unwrap_or((option, "true")) {
                ("no-new-privileges", "true") => no_new_privileges = true,
                ("no-new-privileges", "false") => no_new_privileges = false,
                ("seccomp", file) if file != "true" => profile = file,
                _ => return Err(unknown(option)),
            }
        }
        let profile = match profile {
            "unconfined" => None,
            "builtin" => Some(Profile::builtin()?),
            file => Some(Profile::read(file)?),
        };
        let seccomp = profile.map(|profile| profile.for_capabilities(set)).transpose()?;
        let capabilities = Capabilities::of(set);
        let privileged = self.privileged;
        Ok(Description { capabilities, no_new_privileges, seccomp, privileged })
    }
}

impl Description {
    /// Write it into `spec`, which has everything else.
    pub fn write(self, spec: &mut Spec) {
        spec.process.capabilities = self.capabilities;
        spec.process.no_new_privileges = self.no_new_privileges;
        spec.linux.seccomp = self.seccomp;
        if !self.privileged {
            return;
        }
        spec.linux.masked_paths.clear();
        spec.linux.readonly_paths.clear();
        for mount in spec.mounts.iter_mut().filter(|mount| mount.kind == "sysfs") {
            mount.options.retain(|option| option != "ro");
        }
        spec.annotations.insert(PRIVILEGED.into(), "true".into());
    }
}

fn unknown(option: &str) -> Error {
    Error::input(format!("--security-opt {option:?} is not known")).hint(
        "there are no-new-privileges[=true|false], and seccomp=FILE, seccomp=builtin, \
         seccomp=unconfined",
    )
}

/// What is to be given up, read and translated before anything is touched.
#[derive(Debug)]
pub struct Guards {
    kept: Set,
    bound: Set,
    no_new_privileges: bool,
    filter: Option<Filter>,
}

impl Guards {
    /// The guards that `spec` asks for.
    pub fn of(spec: &Spec) -> Result<Guards> {
        let Capabilities { bounding, permitted, .. } = &spec.process.capabilities;
        let profile = spec.linux.seccomp.as_ref();
        Ok(Guards {
            kept: Set::named(permitted)?,
            bound: Set::named(bounding)?,
            no_new_privileges: spec.process.no_new_privileges,
            filter: profile.map(Filter::compile).transpose()?,
        })
    }

    /// Give up what is not kept, and on the way become whoever `become_user` makes us.
    pub fn put_on(
        &self,
        stage: &Stage,
        become_user: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        // Lesson 22, caps: no program gets back what is not in the bounding set. It takes
        // CAP_SETPCAP, which the next steps take away.
        caps::bound(stage, self.bound)?;
        // Lesson 23, seccomp, comes last: it may forbid what the other steps call. But without
        // no_new_privs it takes CAP_SYS_ADMIN, which is about to go.
        if !self.no_new_privileges {
            self.filter_calls(stage)?;
        }
        // Lesson 5, user: whoever the command is to run as. It takes CAP_SETUID.
        become_user()?;
        // Lesson 22 again: now the other sets. Who is not root any more has lost them already.
        caps::keep(stage, self.kept)?;
        if self.no_new_privileges {
            caps::no_new_privs(stage)?;
            self.filter_calls(stage)?;
        }
        Ok(())
    }

    fn filter_calls(&self, stage: &Stage) -> Result<()> {
        self.filter.as_ref().map_or(Ok(()), |filter| seccomp::install(stage, filter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(privileged: bool, security: &[&str]) -> Result<Description> {
        let security = security.iter().map(ToString::to_string).collect();
        Request { privileged, security, ..Request::default() }.read()
    }

    #[test]
    fn options_are_read_as_docker_does() -> Result<()> {
        let usual = read(false, &[])?;
        assert!(usual.no_new_privileges && usual.seccomp.is_some());
        assert_eq!(usual.capabilities.bounding.len(), 14);
        assert!(usual.capabilities.inheritable.is_empty());
        let open = read(false, &["no-new-privileges=false", "seccomp=unconfined"])?;
        assert!(!open.no_new_privileges && open.seccomp.is_none());
        let privileged = read(true, &["no-new-privileges"])?;
        assert!(privileged.no_new_privileges && privileged.seccomp.is_none());
        assert_eq!(privileged.capabilities.permitted.len(), 41);
        assert!(read(false, &["label=disable"]).is_err());
        assert!(read(false, &["seccomp"]).is_err());
        assert!(read(false, &["seccomp=/no/such/file"]).is_err());
        Ok(())
    }
}
