//! What does `-p 8080:80` mean?
//!
//! `[IP:]HOST:CONTAINER[/PROTOCOL]`, as Docker has it.

use std::net::{Ipv4Addr, SocketAddrV4};

use net::{Protocol, Published};
use stage::{Error, Result};

/// Read one value of `-p`.
pub fn read(text: &str) -> Result<Published> {
    let wrong = |why: String| {
        Error::input(format!("-p {text:?}: {why}"))
            .hint("-p takes [IP:]HOST:CONTAINER[/udp], such as 127.0.0.1:8080:80")
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(wrong(format!("{protocol:?} is neither tcp nor udp"))),
    };
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(wrong(format!("{text:?} is no port from 1 to 65535"))),
    };
    let parts: Vec<&str> = ports.split(':').collect();
    let (address, host, container) = match parts[..] {
        [host, container] => (Ipv4Addr::UNSPECIFIED, host, container),
        [address, host, container] => {
            let address = address.parse();
            let address =
                address.map_err(|_| wrong(format!("{:?} is no IPv4 address", parts[0])));
            (address?, host, container)
        }
        _ => return Err(wrong("it has no two ports".into())),
    };
    let host = SocketAddrV4::new(address, port(host)?);
    Ok(Published { protocol, host, container: port(container)? })
}

/// The same as somebody would type it.
pub fn written(published: &Published) -> String {
    let Published { protocol, host, container } = published;
    format!("{host}:{container}/{protocol}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_as_docker_has_them() {
        let udp = read("127.0.0.1:53:5353/udp").unwrap();
        assert_eq!(udp.protocol, Protocol::Udp);
        assert_eq!(
            (udp.host.to_string().as_str(), udp.container),
            ("127.0.0.1:53", 5353)
        );
        assert_eq!(written(&udp), "127.0.0.1:53:5353/udp");
        assert_eq!(read(&written(&udp)), Ok(udp));
        assert_eq!(read("8080:80").unwrap().host.to_string(), "0.0.0.0:8080");
    }

    #[test]
    fn what_is_no_port_is_told() {
        for text in
            ["", "80", "0:80", "80:65536", "x:80", "1.2.3:80:80", "80:80/sctp", "a:b:c:d"]
        {
            let error = read(text).expect_err(text);
            assert!(error.to_string().starts_with("-p "), "{error}");
        }
    }
}
