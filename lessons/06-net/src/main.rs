//! Lesson 6, the demonstration: `net [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child leaves for a network namespace of its own, where nothing can be reached. A cable
//! into the host's is laid, both ends are configured, and a question and its answer travel
//! over it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use net::{Cable, INSIDE, Subnet};
use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nameindex};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc};

/// Lesson 6: how does an empty network stack reach the world?
#[derive(Parser)]
struct Args {
    /// The addresses of the two ends: the first is the host's, the second the container's
    #[arg(long, default_value = "10.207.1.0/24")]
    subnet: Subnet,
    /// Lay no cable: that is left to scripts/host_net.sh and scripts/inner_net.sh
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let question = "how does an empty network stack reach the world?";
    stage::lesson("net", question, &args.flags, |stage| {
        for left in net::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        if args.bare { play_bare(stage, &args) } else { play(stage, &args) }
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let (gateway, address) = (args.subnet.gateway(), args.subnet.container());
    let length = args.subnet.length();
    stand_in(stage)?;
    args.subnet.must_be_free()?;
    let mut container = stage.fork(|cue| {
        net::isolate(stage)?;
        cue.report(look_inside(stage)?)?;
        net::configure(address, length, gateway)?;
        let ear = listen(address)?;
        cue.report(look_inside(stage)?)?;
        cue.report(answer(stage, &ear)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let empty = container.evidence()?;
    let cable = Cable::lay(container.pid(), &args.subnet)?;
    let outside = cable.outside.clone();
    stage.note(&format!("by netlink: a cable, {outside} here and {INSIDE} in there"));
    let during = look(stage, "host", &outside)?;
    container.proceed()?;
    let connected = container.evidence()?;
    let mouth = ask(gateway, address)?;
    container.proceed()?;
    let asked = container.evidence()?;
    let answered = hear(stage, &mouth)?;
    let status = container.finish()?;
    drop(cable);
    let after = look(stage, "host", &outside)?;

    Ok(judge_empty(Verdict::on(CLAIM), &during, &empty)
        .equal("its loopback, configured", "up 127.0.0.1/8", &connected["lo"])
        .equal("its end", format!("up {address}/{length}"), &connected[INSIDE])
        .equal("the host's end", format!("up {gateway}/{length}"), &during[&*outside])
        .equal("its way out", gateway, &connected["gateway"])
        .equal("who asked the container", gateway, &asked["asked by"])
        .equal("who answered the host", address, &answered["answer by"])
        .equal("the host's end afterwards", NONE, &after[&*outside])
        .equal("the host's namespace", &during["namespace"], &after["namespace"])
        .status(status))
}

const CLAIM: &str =
    "a new network stack is empty: a cable, addresses and a route connect it";

fn play_bare(stage: &Stage, args: &Args) -> Result<Verdict> {
    let before = look(stage, "host", "lo")?;
    let mut container = stage.fork(|cue| {
        net::isolate(stage)?;
        cue.report(look_inside(stage)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let empty = container.evidence()?;
    let on = format!("process {} waits for scripts/host_net.sh", container.pid());
    stage.note(&on);
    let status = container.finish()?;
    let verdict = Verdict::on("a new network stack is empty, and reaches nobody");
    Ok(judge_empty(verdict, &before, &empty).status(status))
}

/// What holds of every new network namespace.
fn judge_empty(verdict: Verdict, host: &Evidence, empty: &Evidence) -> Verdict {
    verdict
        .differ("the container's namespace", &host["namespace"], &empty["namespace"])
        .equal("the links in a new namespace", "lo", &empty["links"])
        .equal("its loopback", "down", &empty["lo"])
        .equal("its way out", NONE, &empty["gateway"])
        .equal("its own 127.0.0.1", "ENETUNREACH", &empty["127.0.0.1"])
}

/// In a user namespace (lesson 5) we are root, but not of the host's network: a second
/// network namespace, of our own, plays the host.
fn stand_in(stage: &Stage) -> Result<()> {
    let map = "/proc/self/uid_map";
    let map = fs::read_to_string(map).map_err(|error| Error::io(map, &error))?;
    if !map.split_whitespace().eq(["0", "0", "4294967295"]) {
        stage.note(
            "the host's network is not ours to change: another one stands in for it",
        );
        net::isolate(stage)?;
    }
    Ok(())
}

const NONE: &str = "-";

/// What can be seen of one link, and of our namespace.
fn look(stage: &Stage, who: &str, link: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("namespace", proc::namespace("net")?);
    Ok(seen.fact(link, state(link)?).end())
}

fn look_inside(stage: &Stage) -> Result<Evidence> {
    let seen = stage.look("container").fact("namespace", proc::namespace("net")?);
    let seen = seen.fact("links", links()?.join(" "));
    let seen = seen.fact("lo", state("lo")?).fact(INSIDE, state(INSIDE)?);
    let seen = seen.fact("gateway", gateway()?.map_or(NONE.into(), |it| it.to_string()));
    Ok(seen.fact("127.0.0.1", reach(Ipv4Addr::LOCALHOST)).end())
}

/// Links that the kernel puts into every new namespace where a tunnel's module is loaded.
const TUNNELS: [&str; 9] = [
    "erspan0", "gre0", "gretap0", "ip6_vti0", "ip6gre0", "ip6tnl0", "ip_vti0", "sit0",
    "tunl0",
];

/// The names of all links but those.
fn links() -> Result<Vec<String>> {
    let all = if_nameindex().map_err(|errno| Error::call("if_nameindex", errno))?;
    let names = all.iter().map(|link| link.name().to_string_lossy().into_owned());
    Ok(names.filter(|name| !TUNNELS.contains(&name.as_str())).collect())
}

/// Whether a link is there, is up, and has an IPv4 address: `up 10.207.1.2/24`.
fn state(link: &str) -> Result<String> {
    let all = getifaddrs().map_err(|errno| Error::call("getifaddrs", errno))?;
    let of_link: Vec<_> = all.filter(|entry| entry.interface_name == link).collect();
    let Some(first) = of_link.first() else { return Ok(NONE.to_string()) };
    if !first.flags.contains(InterfaceFlags::IFF_UP) {
        return Ok("down".to_string());
    }
    let address = of_link.iter().find_map(address);
    Ok(address.map_or("up".to_string(), |address| format!("up {address}")))
}

fn address(entry: &InterfaceAddress) -> Option<String> {
    let ip = entry.address?.as_sockaddr_in()?.ip();
    let mask = entry.netmask?.as_sockaddr_in()?.ip();
    Some(format!("{ip}/{}", u32::from(mask).leading_ones()))
}

/// The gateway of the default route; see proc_pid_net(5): its bytes are written backwards.
fn gateway() -> Result<Option<Ipv4Addr>> {
    let table = "/proc/self/net/route";
    let table = fs::read_to_string(table).map_err(|error| Error::io(table, &error))?;
    let routes = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut default = routes.filter(|route| route.get(1) == Some(&"00000000"));
    let gateway = default.find_map(|route| u32::from_str_radix(route.get(2)?, 16).ok());
    Ok(gateway.map(|backwards| Ipv4Addr::from(backwards.swap_bytes())))
}

/// Whether the kernel knows a way to `address`: `reachable`, or its refusal.
fn reach(address: Ipv4Addr) -> String {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    match socket.and_then(|socket| socket.connect((address, ECHO))) {
        Ok(()) => "reachable".to_string(),
        Err(error) => {
            format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default()))
        }
    }
}

/// The port of the echo service, RFC 862. All ports of the container are free.
const ECHO: u16 = 7;
/// A cable is fast: what takes longer was lost.
const PATIENCE: Duration = Duration::from_secs(5);

fn listen(address: Ipv4Addr) -> Result<UdpSocket> {
    bind(address, ECHO)
        .map_err(|error| Error::io(format!("bind({address}:{ECHO})"), &error))
}

/// The question waits in the container's socket until it is read.
fn ask(from: Ipv4Addr, to: Ipv4Addr) -> Result<UdpSocket> {
    let failed = |error| Error::io(format!("sendto({to}:{ECHO})"), &error);
    let mouth = bind(from, 0).map_err(failed)?;
    mouth.send_to(b"are you there?", (to, ECHO)).map_err(failed)?;
    Ok(mouth)
}

fn bind(address: Ipv4Addr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((address, port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn answer(stage: &Stage, ear: &UdpSocket) -> Result<Evidence> {
    let mut question = [0; 64];
    let failed = |error| Error::io("recvfrom", &error);
    let (length, from) = ear.recv_from(&mut question).map_err(failed)?;
    ear.send_to(&question[..length], from).map_err(failed)?;
    Ok(stage.look("container").fact("asked by", from.ip()).end())
}

fn hear(stage: &Stage, mouth: &UdpSocket) -> Result<Evidence> {
    let (_, from) =
        mouth.recv_from(&mut [0; 64]).map_err(|error| Error::io("recvfrom", &error))?;
    Ok(stage.look("host").fact("answer by", from.ip()).end())
}
