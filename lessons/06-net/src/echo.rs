//! Does a question over the cable come back as an answer?
//!
//! Two UDP packets, and what each side sees as their sender. Read udp(7), RFC 862.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use stage::{Error, Evidence, Result, Stage};

/// The port of the echo service, RFC 862. All ports of the container are free.
pub const ECHO: u16 = 7;
/// A cable is fast: what takes longer was lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// The container waits for questions.
pub fn listen(address: Ipv4Addr) -> Result<UdpSocket> {
    bind(address, ECHO)
        .map_err(|error| Error::io(format!("bind({address}:{ECHO})"), &error))
}

/// The question waits in the container's socket until it is read.
pub fn ask(from: Ipv4Addr, to: Ipv4Addr) -> Result<UdpSocket> {
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

/// The container sends back what it hears.
pub fn answer(stage: &Stage, ear: &UdpSocket) -> Result<Evidence> {
    let mut question = [0; 64];
    let failed = |error| Error::io("recvfrom", &error);
    let (length, from) = ear.recv_from(&mut question).map_err(failed)?;
    ear.send_to(&question[..length], from).map_err(failed)?;
    Ok(stage.look("container").fact("asked by", from.ip()).end())
}

/// And the host hears it.
pub fn hear(stage: &Stage, mouth: &UdpSocket) -> Result<Evidence> {
    let (_, from) =
        mouth.recv_from(&mut [0; 64]).map_err(|error| Error::io("recvfrom", &error))?;
    Ok(stage.look("host").fact("answer by", from.ip()).end())
}
