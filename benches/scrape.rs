//! One metrics page, uncompressed, at 10,000 and 100,000 series; and what TLS and a password
//! add to a scrape of the smaller one, on a connection that is kept and on new ones.
//!
//! `cargo bench --bench scrape`

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidegauge::event::{Decimal, EventTime, Field, Span, Vocabulary};
use tidegauge::export::{
    self, DeadLetterReport, Hosts, OpenMetricsVersion, PageFormat, ProcessUse, Report, Served,
    Site, Web, encode,
};
use tidegauge::kpi::{
    AggregateSpec, Declarations, Direction, Formula, KpiFigure, KpiSnapshot, KpiSpec, MeasureSpec,
    Operator, Quantity, SeriesSnapshot, Share, SliceSnapshot, SliceSpec, Unit,
};
use tidegauge::window::WindowSpec;
use tokio::runtime::Runtime;
use tokio::sync::watch;

const WINDOWS: [i64; 3] = [300, 3_600, 86_400];
const MEASURES: usize = 6;
const KPIS: usize = 4;
const PER_CAMPAIGN: usize = WINDOWS.len() * (MEASURES + KPIS);

fn site() -> Site {
    let vocabulary = Vocabulary::canonical();
    let kind = vocabulary.get("email.sent").expect("a known type");
    let measures = (0..MEASURES)
        .map(|place| MeasureSpec {
            id: format!("email_happenings_{place}"),
            help: "How often it happened.".to_owned(),
            aggregate: AggregateSpec::Count,
            types: vec![kind],
            filters: Vec::new(),
            unit: Unit::Of("messages".to_owned()),
        })
        .collect();
    let kpis = (0..KPIS)
        .map(|place| KpiSpec {
            id: format!("happenings_per_message_{place}"),
            help: "How often it happened for each message.".to_owned(),
            formula: Formula::Binary(
                Box::new(Formula::Measure(place + 1)),
                Operator::Divide,
                Box::new(Formula::Measure(if place + 2 < MEASURES { place + 2 } else { 0 })),
            ),
            unit: Unit::Ratio,
            direction: Direction::Up,
            share: Some(Share::OfEarlier),
            sample: None,
            slices: vec![0],
            group: "email".to_owned(),
            kind: "response".to_owned(),
        })
        .collect();
    let windows = WINDOWS.map(|secs| WindowSpec::new(Span::from_secs(secs)).expect("a window"));
    let slice = SliceSpec {
        name: "campaign".to_owned(),
        fields: vec![Field::Campaign],
        windows: windows.to_vec(),
        cap: 10_000,
    };
    let declarations = Declarations {
        vocabulary,
        measures,
        kpis,
        slices: vec![slice],
        lateness: Span::from_secs(86_400),
        future_tolerance: Span::from_secs(300),
    };
    Site::new(Arc::new(declarations), Arc::new([]), "0", "0", "bench")
}

fn report(series: usize) -> Report {
    let campaign = |number: usize| SeriesSnapshot {
        values: Arc::new([format!("2026-spring-campaign-{number:05}").into()]),
        other: false,
        measures: (0..WINDOWS.len() * MEASURES)
            .map(|place| Some(Quantity::Exact(Decimal::from_int((number * 37 + place) as i64))))
            .collect(),
        kpis: (0..WINDOWS.len() * KPIS)
            .map(|place| {
                let value = (number % 97 + place + 1) as f64 / 1_013.0;
                Some(KpiFigure { value, sample: None })
            })
            .collect(),
    };
    let now = EventTime::from_secs(1_776_159_000);
    let slice = SliceSnapshot {
        slice: 0,
        coverage: vec![1.0; WINDOWS.len()],
        kpi_coverage: vec![1.0; WINDOWS.len() * KPIS],
        folded_values: 0,
        folded_events: 0,
        series: (0..series.div_ceil(PER_CAMPAIGN)).map(campaign).collect(),
    };
    Report {
        made_at: now,
        started_at: now,
        snapshot: Some(Arc::new(KpiSnapshot { as_of: now, slices: vec![slice] })),
        verdicts: Vec::new(),
        not_ready: Vec::new(),
        complete: true,
        covered_from: None,
        topics: Vec::new(),
        missing_topics: Vec::new(),
        brokers_up: true,
        brokers_why: None,
        dead_letters: DeadLetterReport::default(),
        other_currency: Vec::new(),
        overfull_levels: Vec::new(),
        stale_after: Span::from_secs(60),
        snapshot_took: Span::ZERO,
        state: None,
        duplicates: None,
        backfill: None,
    }
}

fn scrape(criterion: &mut Criterion) {
    let site = site();
    let mut group = criterion.benchmark_group("scrape");
    group.sample_size(20);
    for series in [10_000, 100_000] {
        let report = report(series);
        group.throughput(Throughput::Elements(series as u64));
        let open_metrics = PageFormat::OpenMetrics(OpenMetricsVersion::One);
        for (name, format) in [("text", PageFormat::Text), ("openmetrics", open_metrics)] {
            group.bench_with_input(BenchmarkId::new(name, series), &report, |bencher, report| {
                let process = ProcessUse::default();
                bencher.iter(|| black_box(encode(&site, Some(report), &[], process, None, format)));
            });
        }
    }
    group.finish();
}

/// A server in this process, with a web configuration or without.
struct Server {
    address: SocketAddr,
    _runtime: Runtime,
    _reports: watch::Sender<Option<Arc<Report>>>,
}

fn serve(web: Option<Web>) -> Server {
    let runtime = Runtime::new().expect("a runtime");
    let (reports, receiver) = watch::channel(Some(Arc::new(report(10_000))));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = runtime.block_on(async { export::listen(any) }).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let served = Served {
        site: Arc::new(site()),
        reports: receiver,
        loading: Arc::default(),
        hosts: Hosts::new(address.ip(), &[]),
        web: web.map(Arc::new),
    };
    runtime.spawn(export::serve(listener, served, std::future::pending()));
    Server { address, _runtime: runtime, _reports: reports }
}

/// Asks as Prometheus does, and reads all of the answer; gives its length.
fn ask(stream: &mut (impl Read + Write), credentials: &str) -> usize {
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n{credentials}\r\n"
    );
    stream.write_all(head.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    let mut part = vec![0; 1 << 16];
    // The answer comes in chunks, the last of which is empty.
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        let read = stream.read(&mut part).expect("it is read");
        assert!(read > 0, "the answer ends early");
        answer.extend_from_slice(&part[..read]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    answer.len()
}

fn access(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
    let put = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    put("server.crt", &own.cert.pem());
    put("server.key", &own.signing_key.serialize_pem());
    let hash = export::hash_password("secret", 12).expect("a hash");
    put(
        "web.yml",
        &format!(
            "tls_server_config: {{ cert_file: server.crt, key_file: server.key }}\n\
             basic_auth_users: {{ a: \"{hash}\" }}\n"
        ),
    );
    let web = Web::open(&folder.path().join("web.yml")).unwrap_or_else(|error| panic!("{error}"));
    let (open, closed) = (serve(None), serve(Some(web)));
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).expect("an issuer");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let plain = || TcpStream::connect(open.address).expect("a connection");
    let secure = || {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(&config), name).expect("a client");
        let stream = TcpStream::connect(closed.address).expect("a connection");
        StreamOwned::new(connection, stream)
    };
    let credentials = "Authorization: Basic YTpzZWNyZXQ=\r\n";
    let mut group = criterion.benchmark_group("access");
    group.sample_size(50);
    let mut kept = plain();
    group.bench_function("plain/kept", |bencher| bencher.iter(|| ask(&mut kept, "")));
    let mut kept = secure();
    group.bench_function("secure/kept", |bencher| {
        bencher.iter(|| ask(&mut kept, credentials));
    });
    group.bench_function("plain/new", |bencher| bencher.iter(|| ask(&mut plain(), "")));
    group.bench_function("secure/new", |bencher| {
        bencher.iter(|| ask(&mut secure(), credentials));
    });
    group.finish();
}

criterion_group!(benches, scrape, access);
criterion_main!(benches);
