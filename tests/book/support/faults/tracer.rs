//! How does a command go wrong at a known system call?
//!
//! A shell stops itself, we seize it with ptrace(2), and it becomes the engine. From then on the
//! kernel stops each process of the engine's at each call, and we count. At the call that is
//! meant, we kill the process or let the call fail; then all go on unhindered. What has become
//! the user's program is left alone.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::libc::{PTRACE_EVENT_EXEC, PTRACE_EVENT_STOP};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::calls::{Failure, call};
use super::point::{Fault, Moment};
use crate::support::wait::{DEADLINE, slowness};

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Made {
    pub moment: Moment,
    /// How it can fail.
    pub failure: Failure,
}

/// How a command has ended.
#[derive(Debug, Default)]
pub struct Played {
    /// None if it was killed.
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
    /// All its calls in their order, if nothing was to go wrong.
    pub calls: Vec<Made>,
    /// Whether it came to the call that was meant.
    pub reached: bool,
    /// It did not end by itself in time.
    pub hung: bool,
}

/// Run `command` to its end. With `wrong`, that happens on the way.
pub fn play(command: &Command, wrong: Option<(&Moment, Fault)>) -> Played {
    // The tracer is a thread: when it ends, the kernel frees whom it still traces.
    thread::scope(|scope| {
        scope.spawn(|| Tracer::start(command, wrong).play()).join().expect("it plays")
    })
}

struct Tracer<'w> {
    engine: Pid,
    out: File,
    err: File,
    wrong: Option<(&'w Moment, Fault)>,
    tracees: HashMap<Pid, Tracee>,
    born: usize,
    /// The shell has become the engine.
    began: bool,
    alive: Arc<Mutex<HashSet<Pid>>>,
    played: Played,
}

#[derive(Default)]
struct Tracee {
    role: usize,
    /// It is in a call, and the next stop is at the end of that.
    inside: bool,
    /// The call that it is in ends so.
    fails: Option<Errno>,
    counts: HashMap<&'static str, u32>,
    /// Its runtime has made the signal stack: `main` comes next.
    is_ready: bool,
    stacks: u32,
}

impl<'w> Tracer<'w> {
    #[expect(clippy::zombie_processes, reason = "it is waited for as all tracees are")]
    fn start(command: &Command, wrong: Option<(&'w Moment, Fault)>) -> Tracer<'w> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let (out, err) = (memory(), memory());
        let same = |file: &File| file.try_clone().expect("descriptors are there");
        shell.stdin(Stdio::null()).stdout(same(&out)).stderr(same(&err));
        let shell = shell.spawn().expect("sh is installed");
        let engine = Pid::from_raw(shell.id().cast_signed());
        waitpid(engine, Some(WaitPidFlag::WUNTRACED)).expect("it is ours");
        let forks = Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE;
        let how = forks | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACESYSGOOD;
        ptrace::seize(engine, how).expect("it is ours");
        kill(engine, Signal::SIGCONT).expect("it is ours");
        let tracees = HashMap::from([(engine, Tracee::default())]);
        let (born, began, played) = (0, false, Played::default());
        let alive = Arc::new(Mutex::new(HashSet::from([engine])));
        Tracer { engine, out, err, wrong, tracees, born, began, alive, played }
    }

    fn play(mut self) -> Played {
        let (alive, (done, is_done)) = (Arc::clone(&self.alive), channel::<()>());
        let watchdog = thread::spawn(move || {
            let late = is_done.recv_timeout(DEADLINE * slowness()).is_err();
            if late {
                // They are not waited for yet, so that their PIDs are still their own.
                let alive = alive.lock().unwrap_or_else(PoisonError::into_inner);
                for &pid in alive.iter() {
                    kill(pid, Signal::SIGKILL).ok();
                }
            }
            late
        });
        // Until the last one is gone, it may hold a lock.
        while !self.tracees.is_empty() {
            self.follow();
        }
        done.send(()).ok();
        self.played.hung = watchdog.join().expect("it only waits");
        self.played.out = text(self.out);
        self.played.err = text(self.err);
        self.played
    }

    /// Follow one event.
    fn follow(&mut self) {
        // Children of other threads are not ours to wait for.
        let ours = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let Ok(event) = waitpid(Pid::from_raw(-1), Some(ours)) else {
            return self.tracees.clear();
        };
        match event {
            WaitStatus::Exited(pid, status) => {
                if pid == self.engine {
                    self.played.status = Some(status);
                }
                self.leaves(pid);
            }
            WaitStatus::Signaled(pid, ..) => self.leaves(pid),
            WaitStatus::PtraceSyscall(pid) => self.at_call(pid),
            WaitStatus::PtraceEvent(pid, _, what) => self.at_event(pid, what),
            WaitStatus::Stopped(pid, signal) => self.go_on(pid, Some(signal)),
            _ => {}
        }
    }

    /// It is not ours any more.
    fn leaves(&mut self, pid: Pid) {
        self.tracees.remove(&pid);
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// A child's first stop may come before its parent's word of it.
    fn tracee(&mut self, pid: Pid) -> &mut Tracee {
        let (born, alive) = (&mut self.born, &self.alive);
        self.tracees.entry(pid).or_insert_with(|| {
            *born += 1;
            alive.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
            Tracee { role: *born, is_ready: true, ..Tracee::default() }
        })
    }

    fn at_event(&mut self, pid: Pid, what: i32) {
        self.tracee(pid);
        match what {
            PTRACE_EVENT_EXEC if self.began && is_contained(pid) => {
                self.leaves(pid);
                // Gone already, perhaps: then there is nothing to be left alone.
                ptrace::detach(pid, None).ok();
                return;
            }
            PTRACE_EVENT_EXEC => {
                self.began = true;
                if pid == self.engine {
                    // It may start itself once more, and its runtime, too.
                    let engine = self.tracee(pid);
                    (engine.stacks, engine.is_ready) = (0, false);
                }
            }
            PTRACE_EVENT_STOP => {}
            _ => {
                if let Ok(child) = ptrace::getevent(pid) {
                    let child = i32::try_from(child).expect("a PID is an i32");
                    self.tracee(Pid::from_raw(child));
                }
            }
        }
        self.go_on(pid, None);
    }

    /// At the beginning or the end of a call.
    fn at_call(&mut self, pid: Pid) {
        let (began, wrong) = (self.began, self.wrong);
        let tracee = self.tracee(pid);
        tracee.inside = !tracee.inside;
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        if !tracee.inside {
            if let Some(errno) = tracee.fails.take() {
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).ok();
                self.played.reached = true;
            }
            return self.go_on(pid, None);
        }
        if !began || is_check(&registers) {
            return self.go_on(pid, None);
        }
        let mut made = tracee.count(registers.orig_rax);
        if wrong.is_none() && is_folder(pid, &registers, &made) {
            made.failure = Failure::Never("of a folder: the standard library panics");
        }
        match wrong.filter(|(moment, _)| **moment == made.moment) {
            Some((_, Fault::Kill)) => {
                kill(pid, Signal::SIGKILL).expect("it is stopped");
                self.played.reached = true;
                return;
            }
            Some((_, Fault::Fail)) => match made.failure {
                Failure::Is(errno) => {
                    tracee.fails = Some(errno);
                    // No call has this number: the kernel does nothing.
                    registers.orig_rax = u64::MAX;
                    ptrace::setregs(pid, registers).ok();
                }
                Failure::DoneBut(errno) => tracee.fails = Some(errno),
                Failure::Never(_) => {}
            },
            None if wrong.is_none() => self.played.calls.push(made),
            None => {}
        }
        self.go_on(pid, None);
    }

    /// One that was killed meanwhile cannot go on, and says so by its end.
    fn go_on(&mut self, pid: Pid, signal: Option<Signal>) {
        if self.played.reached {
            ptrace::cont(pid, signal).ok();
        } else {
            ptrace::syscall(pid, signal).ok();
        }
    }
}

impl Tracee {
    fn count(&mut self, number: u64) -> Made {
        let (name, mut failure) = call(number);
        let count = self.counts.entry(name).or_default();
        *count += 1;
        let moment = Moment { role: self.role, call: name.into(), count: *count };
        self.stacks += u32::from(name == "sigaltstack");
        // It asks for the old one, and sets its own.
        self.is_ready |= self.stacks == 2;
        if !self.is_ready {
            failure = Failure::Never("before main");
        }
        Made { moment, failure }
    }
}

/// In a debug build, the standard library looks whether a descriptor is open before it closes
/// that: `fcntl(fd, F_GETFD)`.
fn is_check(registers: &libc::user_regs_struct) -> bool {
    call(registers.orig_rax).0 == "fcntl" && registers.rsi == libc::F_GETFD as u64
}

/// Whether a folder is closed. No file system lets that fail, and `ReadDir` relies on it.
fn is_folder(pid: Pid, registers: &libc::user_regs_struct, made: &Made) -> bool {
    let path = format!("/proc/{pid}/fd/{}", registers.rdi);
    made.moment.call == "close" && fs::metadata(path).is_ok_and(|it| it.is_dir())
}

/// Whether what `pid` executes is a container's: it is in another PID namespace than we are.
fn is_contained(pid: Pid) -> bool {
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/pid")).ok();
    namespace(&pid.to_string()) != namespace("self")
}

/// A file that is nowhere: whoever outlives the engine keeps nobody waiting.
fn memory() -> File {
    let name = c"fakedocker-test";
    let made =
        nix::sys::memfd::memfd_create(name, nix::sys::memfd::MFdFlags::MFD_CLOEXEC);
    File::from(made.expect("memory is there"))
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.expect("it is in memory");
    String::from_utf8_lossy(&bytes).into_owned()
}
