//! Services that act for whoever reaches them: engines, the system's bus. Other names for their sockets
//! do not help.

use super::address::{self, DATAGRAM, SEQUENCE, STREAM, connect, send_message, send_messages};
use super::{FREE, Set, TOP, folder, judge};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::unistd::chdir;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

crate::tests! { bypass_by_services => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-service", ATTEMPTS);

const RULE: Governed = Denied("rule");

const fn case(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

const ATTEMPTS: &[Attempt] = &[
    case("a service", Passes, || reached("/run/bypass.sock", STREAM)),
    case("docker", RULE, || reached("/run/docker.sock", STREAM)),
    case("podman", RULE, || reached("/run/podman/podman.sock", STREAM)),
    case("containerd", RULE, || reached("/run/containerd/containerd.sock", STREAM)),
    case("libvirt", RULE, || reached("/run/libvirt/libvirt-sock", STREAM)),
    case("the system's bus", RULE, || reached("/run/dbus/system_bus_socket", STREAM)),
    case("the system's manager", RULE, || reached("/run/systemd/private", STREAM)),
    case("a screen", RULE, || reached("@/tmp/.X11-unix/X0", STREAM)),
    case("a service by 32-bit calls", Passes, || by_32_bits("/run/bypass.sock")),
    case("docker by 32-bit calls", RULE, || by_32_bits("/run/docker.sock")),
    case("docker by /var/run", RULE, || reached("/srv/bypass/var-run/docker.sock", STREAM)),
    case("docker by /proc/self/root", RULE, || reached("/proc/self/root/run/docker.sock", STREAM)),
    case("docker from its folder", RULE, || {
        chdir("/run")?;
        reached("docker.sock", STREAM)
    }),
    case("docker by a bind mount", RULE, || reached("/srv/bypass/mounted.sock", STREAM)),
    case("a service by another link", Passes, || linked("/run/bypass.sock")).by_root(),
    case("docker by another link", Fails(Errno::EXDEV, "grants-more"), || {
        linked("/run/docker.sock")
    })
    .by_root(),
    case("a service moved", Passes, || moved("/run/bypass.sock")).by_root(),
    case("docker moved", Fails(Errno::EXDEV, "grants-more"), || moved("/run/docker.sock"))
        .by_root(),
    case("packets", Passes, || reached("/run/bypass.seq", SEQUENCE)),
    case("packets, forbidden", RULE, || reached("/run/docker.seq", SEQUENCE)),
    case("datagrams by sendmsg", Passes, || message("/run/bypass.dgram")),
    case("datagrams by sendmsg, forbidden", RULE, || message("/run/docker.dgram")),
    case("datagrams by sendmmsg", Passes, || messages("/run/bypass.dgram")),
    case("datagrams by sendmmsg, forbidden", RULE, || messages("/run/docker.dgram")),
    case("an abstract name", Passes, || reached("@bypass-free", SEQUENCE)),
    case("an abstract name, forbidden", RULE, || reached("@bypass-kept", SEQUENCE)),
];

/// Each name that something listens at.
const LISTENING: &[(&str, i32)] = &[
    ("/run/bypass.sock", STREAM),
    ("/run/docker.sock", STREAM),
    ("/run/podman/podman.sock", STREAM),
    ("/run/containerd/containerd.sock", STREAM),
    ("/run/libvirt/libvirt-sock", STREAM),
    ("/run/dbus/system_bus_socket", STREAM),
    ("/run/systemd/private", STREAM),
    ("@/tmp/.X11-unix/X0", STREAM),
    ("/run/bypass.seq", SEQUENCE),
    ("/run/docker.seq", SEQUENCE),
    ("/run/bypass.dgram", DATAGRAM),
    ("/run/docker.dgram", DATAGRAM),
    ("@bypass-free", SEQUENCE),
    ("@bypass-kept", SEQUENCE),
];

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "sockets"
allow = ["connect"]
to = ["unix:/**", "unix:@**"]

[[rule]]
id = "services"
deny = ["connect"]
to = [
    "unix:/run/docker.*", "unix:/run/{podman,containerd,libvirt,dbus,systemd}/**",
    "unix:@/tmp/.X11-unix/*", "unix:@bypass-kept",
]
"#;

fn bypass_by_services() -> Result<()> {
    harness::acts::enter()?;
    folder(TOP)?;
    folder(FREE)?;
    for (name, kind) in LISTENING {
        listen(name, *kind)?;
    }
    let _ = fs::remove_file("/srv/bypass/var-run");
    symlink("/run", "/srv/bypass/var-run")?;
    fs::write("/srv/bypass/mounted.sock", "")?;
    let (none, place) = (None::<&str>, "/srv/bypass/mounted.sock");
    mount(Some("/run/docker.sock"), place, none, MsFlags::MS_BIND, none)?;
    let gate = Gate::start()?;
    judge(&gate, SET, &policy("bypass-service", "", RULES)?)
}

/// A socket that takes connections as long as this process lives; nobody needs to accept them.
fn listen(name: &str, kind: i32) -> Result<()> {
    if !name.starts_with('@') {
        let above = Path::new(name).parent().context("no folder")?;
        fs::create_dir_all(above)?;
        let _ = fs::remove_file(name);
    }
    let at = address::unix(name);
    let socket = address::socket(&at, kind, 0)?;
    address::bind(socket, &at)??;
    if !name.starts_with('@') {
        fs::set_permissions(name, fs::Permissions::from_mode(0o777))?;
    }
    if kind == DATAGRAM {
        // What is sent there is dropped, so that its queue does not get full.
        std::thread::spawn(move || {
            let mut data = [0_u8; 8];
            while crate::raw::call(
                nix::libc::SYS_read,
                [socket, crate::raw::address_mut(&mut data), 8],
            )
            .is_ok()
            {}
        });
        return Ok(());
    }
    crate::raw::call(nix::libc::SYS_listen, [socket, 1000])?;
    Ok(())
}

fn reached(name: &str, kind: i32) -> Act {
    let to = address::unix(name);
    connect(address::socket(&to, kind, 0)?, &to)
}

fn by_32_bits(name: &str) -> Act {
    let to = address::unix(name);
    address::connect_i386(address::socket(&to, STREAM, 0)?, &to)
}

fn message(name: &str) -> Act {
    let to = address::unix(name);
    send_message(address::socket(&to, DATAGRAM, 0)?, &to, 0)
}

fn messages(name: &str) -> Act {
    let to = address::unix(name);
    send_messages(address::socket(&to, DATAGRAM, 0)?, &[&to])
}

fn linked(name: &str) -> Act {
    let alias = "/run/bypass-alias.sock";
    let _ = fs::remove_file(alias);
    if let Err(error) = fs::hard_link(name, alias) {
        return Ok(Err(super::number(error)));
    }
    reached(alias, STREAM)
}

/// The socket's own name becomes another one, and then the first again.
fn moved(name: &str) -> Act {
    let alias = "/run/bypass-moved.sock";
    if let Err(error) = fs::rename(name, alias) {
        return Ok(Err(super::number(error)));
    }
    let reached = reached(alias, STREAM);
    fs::rename(alias, name)?;
    reached
}
