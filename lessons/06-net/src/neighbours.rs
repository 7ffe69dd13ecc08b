//! `net --bridge`: who gets what is sent to a neighbour on the same bridge?
//!
//! A bridge learns behind which port an address is from whoever last sent under it. So a
//! thief takes the addresses of a server, and sends. With our guard the server is still the
//! one that answers; without it, the thief is. A network namespace of our own plays the host,
//! so that the guard of nobody else is taken away.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use net::INSIDE;
use net::bridge::{self, Bridge, NAME, Place};
use net::firewall::Firewall;
use net::netlink::Netlink;
use stage::{Child, Cue, Error, Evidence, Result, Stage, Verdict};

/// All ports of a container are free.
const PORT: u16 = 7;
const PATIENCE: Duration = Duration::from_secs(5);
const CLAIM: &str = "a bridge believes whoever sends: a guard must know who is who";

pub fn play(stage: &Stage) -> Result<Verdict> {
    stage.note("another network stands in for the host's, and its notes are its own");
    net::isolate(stage)?;
    net::loopback()?;
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/run"))?;

    let (mut server, place) = move_in(stage, |cue, own| serve(cue, own, "server"))?;
    let (mut thief, thiefs) = move_in(stage, |cue, own| steal(stage, cue, own))?;
    let (mut client, clients) = move_in(stage, |cue, own| ask(stage, cue, own))?;
    if let Some(why) = &place.refused {
        return Ok(Verdict::on(CLAIM).skip("the guard", why));
    }
    let who = stage.look("host").fact("server", place.address);
    let who = who.fact("thief", thiefs.address).fact("client", clients.address).end();

    server.proceed()?;
    let mut question = || {
        client.say(&place.address.to_string())?;
        client.evidence()
    };
    let before = question()?;
    let mut theft = || {
        thief.say(&place.address.to_string())?;
        thief.evidence()
    };
    theft()?;
    let guarded = question()?;
    stage.note("the guard goes: nft delete table bridge fakedocker1");
    Firewall::of(NAME)?.end_guard()?;
    theft()?;
    let unguarded = question()?;
    stage.gap();
    Ok(Verdict::on(CLAIM)
        .differ("the thief's own address", &who["server"], &who["thief"])
        .equal("who answers for the server", "server", &before["answer by"])
        .equal("and after the theft", "server", &guarded["answer by"])
        .equal("and without the guard", "thief", &unguarded["answer by"]))
}

/// A container at the bridge that plays `part` when it has its address.
fn move_in<'s>(
    stage: &'s Stage,
    part: impl FnOnce(&mut Cue, Ipv4Addr) -> Result<u8>,
) -> Result<(Child<'s>, Place)> {
    let mut guest = stage.fork(|cue| {
        net::isolate(stage)?;
        cue.show(Evidence::default())?;
        let own = bridge::configure(&cue.listen()?)?;
        part(cue, own)
    })?;
    guest.evidence()?;
    let place = Bridge::open()?.plug(guest.pid(), &[])?;
    guest.say(&place.to_string())?;
    Ok((guest, place))
}

/// Answer every question that arrives at `address`, until we are ended.
fn serve(cue: &mut Cue, address: Ipv4Addr, name: &str) -> Result<u8> {
    let ear = bind(address)?;
    cue.listen()?;
    loop {
        answer(&ear, name)?;
    }
}

fn answer(ear: &UdpSocket, name: &str) -> Result<()> {
    let failed = |error| Error::io("recvfrom", &error);
    let (_, from) = ear.recv_from(&mut [0; 64]).map_err(failed)?;
    ear.send_to(name.as_bytes(), from).map_err(failed)?;
    Ok(())
}

/// Be who we are told to be, send something, and answer in that name: in a child, so that
/// we can be told again.
fn steal(stage: &Stage, cue: &mut Cue, own: Ipv4Addr) -> Result<u8> {
    let mut netlink = Netlink::open()?;
    let mut ear: Option<Child> = None;
    let mut nobody = u8::MAX;
    loop {
        let victim = address(&cue.listen()?)?;
        if ear.is_none() {
            netlink.set_hardware(INSIDE, bridge::hardware_of(victim))?;
            netlink.add_address(INSIDE, victim, 32)?;
            ear = Some(stage.fork(|cue| serve(cue, victim, "thief"))?);
            ear.iter_mut().try_for_each(Child::proceed)?;
        }
        // To somebody new, who has to be looked for: all ports of the bridge hear that.
        nobody -= 1;
        let [a, b, ..] = own.octets();
        let somebody = Ipv4Addr::new(a, b, 1, nobody);
        // That nobody answers is no reason to complain.
        bind_any(victim)?.send_to(b"are you there?", (somebody, PORT)).ok();
        cue.show(stage.look("thief").fact("claims", victim).end())?;
    }
}

/// Ask whoever we are told to ask who it is.
fn ask(stage: &Stage, cue: &mut Cue, own: Ipv4Addr) -> Result<u8> {
    let mouth = bind_any(own)?;
    loop {
        let to = address(&cue.listen()?)?;
        let failed = |error| Error::io("sendto", &error);
        mouth.send_to(b"who are you?", (to, PORT)).map_err(failed)?;
        let mut name = [0; 64];
        let (length, _) = mouth.recv_from(&mut name).map_err(failed)?;
        let name = String::from_utf8_lossy(&name[..length]);
        cue.show(stage.look("client").fact("answer by", name).end())?;
    }
}

fn address(text: &str) -> Result<Ipv4Addr> {
    text.parse().map_err(|_| Error::input(format!("{text:?} is no address")))
}

fn bind(address: Ipv4Addr) -> Result<UdpSocket> {
    UdpSocket::bind((address, PORT))
        .map_err(|error| Error::io(format!("bind({address}:{PORT})"), &error))
}

fn bind_any(address: Ipv4Addr) -> Result<UdpSocket> {
    let failed = |error| Error::io(format!("bind({address}:0)"), &error);
    let socket = UdpSocket::bind((address, 0)).map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    Ok(socket)
}
