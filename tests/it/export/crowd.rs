//! Clients that send no whole request, or read no answer: whoever comes after them is
//! served all the same.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tidegauge::export::Report;

use super::fixture;
use super::http::Server;

/// How long an answer may take, whoever else is there.
const PROMPT: Duration = Duration::from_secs(1);
const CROWD: usize = 500;

/// A spring with so many campaigns that its page does not fit into what the kernel
/// keeps for a client that reads nothing.
fn large() -> Report {
    let mut report = fixture::story(&fixture::site(), 0);
    let snapshot = Arc::make_mut(report.snapshot.as_mut().expect("a snapshot"));
    let slice = &mut snapshot.slices[1];
    let first = slice.series[0].clone();
    slice.series = (0..6_000)
        .map(|number| {
            let mut series = first.clone();
            series.values = Arc::new([format!("campaign {number:0>40}").into()]);
            series
        })
        .collect();
    report
}

/// Asks for a page on a connection of its own; gives the status.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PROMPT)?;
    stream.set_read_timeout(Some(PROMPT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..answer.len().min(15)]).into_owned())
}

/// Asks again and again while `crowd` runs; gives what was not answered in time.
fn unanswered(address: SocketAddr, path: &'static str, crowd: &AtomicBool) -> Vec<String> {
    let mut faults = Vec::new();
    while crowd.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let answer = ask(address, path);
        let took = begun.elapsed();
        if took > PROMPT || !answer.as_ref().is_ok_and(|status| status == "HTTP/1.1 200 OK") {
            faults.push(format!("{path} after {took:?}: {answer:?}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    faults
}

#[test]
fn clients_that_send_or_read_nothing_keep_nobody_else_from_an_answer() {
    let server = Server::start(Some(large()));
    let address = server.address();
    let size = server.get("/metrics", &[]).2.len();
    assert!(size > 8 << 20, "{size} bytes may fit into the kernel's buffers");
    let here = AtomicBool::new(true);
    let crowd = Mutex::new(Vec::new());
    let come = |sent: &str| {
        for _ in 0..CROWD {
            // One that is not let in at once is as unfinished as the others.
            let Ok(mut stream) = TcpStream::connect_timeout(&address, PROMPT) else { continue };
            let _ = stream.write_all(sent.as_bytes());
            crowd.lock().expect("the crowd").push(stream);
        }
    };
    std::thread::scope(|scope| {
        let honest: Vec<_> = ["/healthz", "/readyz", "/metrics"]
            .map(|path| scope.spawn(|| unanswered(address, path, &here)))
            .into();
        come("GET /metrics HTTP/1.1\r\nHost: localhost\r\n");
        come("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        std::thread::sleep(Duration::from_secs(4));
        // Those that were sent away come again.
        come("GET / HTTP/1.1\r\n");
        come("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        std::thread::sleep(Duration::from_secs(2));
        here.store(false, Ordering::Relaxed);
        for asking in honest {
            let faults = asking.join().expect("no panic");
            assert!(faults.is_empty(), "{} unanswered, first {:?}", faults.len(), faults.first());
        }
    });
}

#[track_caller]
fn is_closed_within(mut stream: TcpStream, limit: Duration) -> Vec<u8> {
    stream.set_read_timeout(Some(limit)).expect("a socket");
    let mut answer = Vec::new();
    let begun = Instant::now();
    // A reset says as well that it is closed.
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "after {:?}",
            begun.elapsed()
        );
    }
    answer
}

#[test]
fn a_head_has_a_few_seconds_and_an_idle_connection_longer_than_a_scrape_interval() {
    let server = Server::start(Some(fixture::story(&fixture::site(), 0)));
    let connect = |sent: &str| {
        let mut stream = TcpStream::connect(server.address()).expect("a connection");
        stream.write_all(sent.as_bytes()).expect("it is sent");
        stream
    };
    let whole = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let silent = connect("");
    let half = connect("GET /healthz HTTP/1.1\r\n");
    let mut idle = connect(whole);
    let mut half_of_the_second = connect(whole);
    assert!(half_of_the_second.read(&mut [0; 1_000]).is_ok_and(|read| read > 0));
    half_of_the_second.write_all(b"GET /he").expect("it is sent");
    let limit = Duration::from_secs(12);
    for stream in [silent, half, half_of_the_second] {
        is_closed_within(stream, limit);
    }
    std::thread::sleep(Duration::from_secs(2));
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    idle.write_all(last.as_bytes()).expect("it is still open");
    let answers = is_closed_within(idle, limit);
    assert_eq!(String::from_utf8_lossy(&answers).matches("alive").count(), 2);
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let server = Server::start(Some(large()));
    let size = server.get("/metrics", &[]).2.len();
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the request is sent");
    std::thread::sleep(Duration::from_secs(15));
    let answer = is_closed_within(stream, Duration::from_secs(5));
    assert!(answer.len() < size, "{} of {size} bytes came after all", answer.len());
}
