//! A POST for each batch. What has status 2xx was taken. Must not follow a redirect, nor send secrets anywhere else.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use ureq::{
    Agent,
    http::{
        StatusCode, Uri,
        header::{CONTENT_TYPE, HeaderName, HeaderValue},
    },
};

use super::{Item, Sink, Trouble, lines};
use crate::{
    format::otlp,
    http::{self, CERTIFICATES},
    settings::Format,
};

/// For a whole exchange.
const TIMEOUT: Duration = Duration::from_secs(30);

/// One place that takes batches.
pub(super) struct Posts {
    url: String,
    ca: PathBuf,
    headers: Option<PathBuf>,
    format: Format,
}

impl Posts {
    pub(super) fn new(
        url: &str,
        ca: Option<&Path>,
        headers: Option<&Path>,
        format: Format,
    ) -> Self {
        let ca = ca.unwrap_or(CERTIFICATES.as_ref()).to_owned();
        Self { url: url.to_owned(), ca, headers: headers.map(Path::to_owned), format }
    }

    /// Certificates and headers are read for each batch: what is renewed counts at once.
    fn agent(&self) -> Result<Agent, String> {
        if !self.url.starts_with("https:") {
            return http::agent(None, TIMEOUT);
        }
        let ca = fs::read_to_string(&self.ca);
        let ca = ca.map_err(|error| format!("cannot read `{}`: {error}", self.ca.display()))?;
        http::agent(Some(&ca), TIMEOUT)
    }

    fn post(&self, kind: &'static str, body: &[u8]) -> Result<StatusCode, String> {
        let mut request = self.agent()?.post(&self.url).header(CONTENT_TYPE, kind);
        for (name, value) in self.headers()? {
            request = request.header(name, value);
        }
        let response = request.send(body).map_err(|error| http::short(&error))?;
        Ok(response.status())
    }

    fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        let Some(path) = &self.headers else { return Ok(Vec::new()) };
        let failed = |error: io::Error| format!("cannot read `{}`: {error}", path.display());
        let mut file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o007 != 0 {
            let path = path.display();
            return Err(format!("others can reach `{path}`, which has secrets: chmod o= `{path}`"));
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let lines = (1..).zip(text.lines()).filter(|(_number, line)| !line.trim().is_empty());
        let header = |(number, line): (u32, &str)| {
            let wrong = || format!("`{}`: line {number} is no `Name: value`", path.display());
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_error| wrong())?;
            let mut value = HeaderValue::try_from(value.trim()).map_err(|_error| wrong())?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        lines.map(header).collect()
    }

    /// Where, without what may be a secret in the rest of the URL.
    fn host(&self) -> String {
        let uri: Option<Uri> = self.url.parse().ok();
        let host = uri.as_ref().and_then(|uri| uri.authority()).map(ToString::to_string);
        host.unwrap_or_default()
    }

    fn exchange(&self, kind: &'static str, body: &[u8]) -> Result<(), Trouble> {
        let host = self.host();
        let status = self
            .post(kind, body)
            .map_err(|problem| Trouble::Later(format!("{host}: {problem}")))?;
        let said = format!("{host}: status {}", status.as_u16());
        match status {
            status if status.is_success() => Ok(()),
            // It has read it and will not have it, or not so much at once.
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Err(Trouble::Refused(said)),
            _ => Err(Trouble::Later(said)),
        }
    }
}

impl Sink for Posts {
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        match self.format {
            Format::Otlp => {
                let records: Vec<_> = items.iter().map(|item| &item.fields).collect();
                let body = otlp::request(&records, env!("CARGO_PKG_VERSION")).to_string();
                self.exchange("application/json", body.as_bytes())
            }
            Format::Cef => self.exchange("text/plain; charset=utf-8", &lines(self.format, items)),
            format => self.exchange("application/x-ndjson", &lines(format, items)),
        }
    }

    fn send_head(&mut self, _size: u64, note: &str) -> Result<(), Trouble> {
        self.exchange("text/plain; charset=utf-8", note.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        net::TcpListener,
        os::unix::fs::PermissionsExt,
        thread::{self, JoinHandle},
    };

    use super::{Posts, Sink, Trouble};
    use crate::{settings::Format, sink::tests::item};

    /// Answers one request with a status; what it was, at the end.
    fn server(status: &'static str) -> (String, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let (mut stream, _from) = listener.accept().unwrap();
            let (mut text, mut buffer) = (String::new(), [0; 65_536]);
            loop {
                let count = stream.read(&mut buffer).unwrap();
                text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
                let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.map_or(0, |length| length.parse().unwrap());
                if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.len() >= length) {
                    break;
                }
            }
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            text
        });
        (url, thread)
    }

    #[test]
    fn a_batch_is_one_post_with_the_headers_that_a_file_names() {
        let folder = tempfile::tempdir().unwrap();
        let headers = folder.path().join("headers");
        fs::write(&headers, "Authorization: Bearer abc\n\nX-Tenant: 7\n").unwrap();
        let mode = |mode| fs::set_permissions(&headers, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o640);
        let (url, thread) = server("204 No Content");
        let mut posts = Posts::new(&url, None, Some(&headers), Format::Records);
        posts.send(&[item(0), item(1)]).unwrap();
        let request = thread.join().unwrap();
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /in HTTP/1.1\r\n"), "{head}");
        for line in
            ["authorization: Bearer abc", "x-tenant: 7", "content-type: application/x-ndjson"]
        {
            assert!(head.lines().any(|found| found == line), "{head}");
        }
        let lines: Vec<_> = body.lines().map(str::as_bytes).collect();
        assert_eq!(lines, [&*item(0).line, &*item(1).line]);
        fs::write(&headers, "Authorization: Bearer abc\nnonsense\n").unwrap();
        let trouble = posts.send(&[item(0)]).unwrap_err().to_string();
        assert!(trouble.contains("line 2") && !trouble.contains("abc"), "{trouble}");
        mode(0o644);
        let trouble = posts.send(&[item(0)]).unwrap_err().to_string();
        assert!(trouble.contains("chmod o="), "{trouble}");
    }

    #[test]
    fn a_status_says_whether_it_is_worth_another_try() {
        for (status, is_refused) in [
            ("503 Service Unavailable", false),
            ("429 Too Many Requests", false),
            ("401 Unauthorized", false),
            ("302 Found", false),
            ("400 Bad Request", true),
            ("413 Content Too Large", true),
        ] {
            let (url, thread) = server(status);
            let sent = Posts::new(&url, None, None, Format::Cef).send(&[item(0)]);
            thread.join().unwrap();
            match sent.unwrap_err() {
                Trouble::Refused(text) => assert!(is_refused && text.contains(&status[..3])),
                Trouble::Later(text) => assert!(!is_refused && text.contains(&status[..3])),
            }
        }
        let nobody = Posts::new("http://127.0.0.1:1/", None, None, Format::Cef).send(&[item(0)]);
        assert!(matches!(nobody, Err(Trouble::Later(_))));
    }

    #[test]
    fn a_head_is_posted_as_it_is() {
        let (url, thread) = server("200 OK");
        let mut posts = Posts::new(&url, None, None, Format::Checkpoint);
        posts.send_head(7, "origin\n7\nroot\n\n\u{2014} signed\n").unwrap();
        let request = thread.join().unwrap();
        assert!(request.ends_with("\r\n\r\norigin\n7\nroot\n\n\u{2014} signed\n"), "{request}");
    }
}
