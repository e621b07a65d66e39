//! A minimal HTTP server on the loopback, for pages and webhooks of tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Answers each request (path, body) with a page, or closes where there is none.
pub(crate) struct HttpServer {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens on a free port.
    pub(crate) fn start(
        answer: impl Fn(&str, &str) -> Option<String> + Send + 'static,
    ) -> HttpServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                // A caller that goes away in the midst is no concern of the test.
                let _ = serve(&stream, &answer);
            }
        });
        HttpServer { address, stopping, thread: Some(thread) }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }
}

fn serve(
    stream: &TcpStream,
    answer: &impl Fn(&str, &str) -> Option<String>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if let Some(page) = answer(&path, &String::from_utf8_lossy(&body)) {
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{page}",
            page.len()
        )?;
    }
    Ok(())
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the thread out of its waiting.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A page of metrics that the test writes by hand.
pub(crate) struct MetricsPage {
    text: Arc<Mutex<Option<String>>>,
    server: HttpServer,
}

impl MetricsPage {
    /// Serves `text` at every path.
    pub(crate) fn start(text: &str) -> MetricsPage {
        let text = Arc::new(Mutex::new(Some(text.to_owned())));
        let shown = Arc::clone(&text);
        let server = HttpServer::start(move |_, _| shown.lock().expect("the page").clone());
        MetricsPage { text, server }
    }

    /// Serves something else from now on; `None` is a scrape that fails.
    pub(crate) fn set(&self, text: Option<String>) {
        *self.text.lock().expect("the page") = text;
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.server.address()
    }
}
