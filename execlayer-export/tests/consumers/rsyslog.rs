//! An rsyslogd that takes messages in all three ways and writes down what it understood. Must not send any.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::child::{Running, free_port};

/// Where messages go.
pub(crate) struct Place {
    consumers: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    /// Both of TCP and of UDP.
    pub(crate) port: u16,
}

impl Place {
    /// Nobody is there yet.
    pub(crate) fn new(consumers: &Path) -> Self {
        let place = Self {
            consumers: consumers.to_owned(),
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
        };
        fs::write(place.path("rsyslog.conf"), place.configuration()).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The socket of datagrams.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// Facts: rsyslog 8, "imtcp", "imudp", "imuxsock", "Global Configuration Object", "List of properties".
    fn configuration(&self) -> String {
        let Self { port, .. } = self;
        let (folder, socket) = (self.folder.path().display(), self.socket());
        let socket = socket.display();
        // Messages of this machine's own programs have another form, so the socket's own parser is off.
        format!(
            r#"global(workDirectory="{folder}" maxMessageSize="128k")
main_queue(queue.workerThreads="1")
module(load="imtcp")
module(load="imudp")
module(load="imuxsock" sysSock.use="off")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imuxsock" socket="{socket}" useSpecialParser="off" parseHostname="on"
    ignoreTimestamp="off" useSysTimeStamp="off" rateLimit.interval="0")
template(name="understood" type="list" option.jsonf="on") {{
    property(outname="pri" name="pri" format="jsonf")
    property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
    property(outname="host" name="hostname" format="jsonf")
    property(outname="app" name="app-name" format="jsonf")
    property(outname="process" name="procid" format="jsonf")
    property(outname="kind" name="msgid" format="jsonf")
    property(outname="data" name="structured-data" format="jsonf")
    property(outname="message" name="msg" format="jsonf")
}}
if $app-name == "execlayer" then
    action(type="omfile" file="{folder}/understood" template="understood")
"#
        )
    }

    /// Starts it, and waits until messages would reach it.
    pub(crate) fn start(&self) -> Running {
        let tree = self.consumers.join("usr");
        let libraries = tree.join("lib/x86_64-linux-gnu");
        let mut command = Command::new(tree.join("sbin/rsyslogd"));
        command.arg("-n").arg("-f").arg(self.path("rsyslog.conf"));
        command.arg("-i").arg(self.path("pid")).arg("-M").arg(libraries.join("rsyslog"));
        command.env("LD_LIBRARY_PATH", libraries);
        // A socket that the one before has left does not say that this one listens.
        let _ = fs::remove_file(self.socket());
        let mut running = Running::start(&mut command, self.folder.path());
        running.until("rsyslogd to listen", || {
            // The kernel's list of UDP sockets: address and port in hex, 127.0.0.1 the other way round.
            let local = format!(" 0100007F:{:04X} ", self.port);
            let udp = fs::read_to_string("/proc/net/udp").unwrap().contains(&local);
            let tcp = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            (udp && tcp && self.socket().exists()).then_some(())
        });
        running
    }

    /// What was understood so far.
    pub(crate) fn understood(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("understood")).unwrap_or_default();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What was understood, once it is that much.
    pub(crate) fn until(&self, running: &mut Running, count: usize) -> Vec<Value> {
        running.until("messages", || {
            let understood = self.understood();
            (understood.len() >= count).then_some(understood)
        })
    }
}
