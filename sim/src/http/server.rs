//! Listening, a thread per connection, and the end of them all.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConnection;

use super::connection::{self, NoRequest, Received};
use super::{Request, Response, Service, Stream, Tls};

/// What a server does with a request instead of the right answer.
pub enum Fault {
    /// Closes the connection without an answer; the service never sees the request.
    Close,
    /// Closes the connection without an answer, after the service has worked on the request.
    Lose,
    /// Closes the connection after this number of bytes of the body.
    Cut(usize),
    /// Sends this number of bytes of the body, then nothing; keeps the connection open as long as the client does.
    Stall(usize),
    /// Sends this answer; the service never sees the request.
    Answer(Response),
    /// Never answers, and keeps the connection open as long as the client does.
    Silence,
    /// Waits this long, then sends the right answer.
    Delay(Duration),
    /// Sends the right answer byte by byte, with this pause before each.
    Trickle(Duration),
    /// Sends these bytes, which need not be HTTP, and closes the connection; the service never sees the request.
    Raw(Stream),
}

impl Fault {
    /// Whether the service works on the request.
    pub fn is_answered(&self) -> bool {
        !matches!(
            self,
            Fault::Close | Fault::Answer(_) | Fault::Silence | Fault::Raw(_)
        )
    }
}

/// A request that the server has seen.
#[derive(Debug, Clone)]
pub struct Logged {
    /// The request without its body.
    pub request: Request,
    /// How many bytes its body had.
    pub body_length: usize,
}

/// Called with the request's number, counted from 1, and the request.
type Plan = Box<dyn FnMut(usize, &Request) -> Option<Fault> + Send>;

/// A listening server. Dropping it ends its connections and threads.
pub struct Server {
    address: SocketAddr,
    tls: bool,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    service: Arc<dyn Service>,
    tls: Option<Tls>,
    stopped: AtomicBool,
    log: Mutex<Vec<Logged>>,
    plan: Mutex<Option<Plan>>,
    connections: Mutex<Vec<Connection>>,
}

/// An open connection. The thread owns the socket.
struct Connection {
    socket: Weak<TcpStream>,
    thread: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(service: Arc<dyn Service>, tls: Option<Tls>) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service,
            tls: tls.clone(),
            stopped: AtomicBool::new(false),
            log: Mutex::default(),
            plan: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let acceptor = thread::Builder::new()
            .name(format!("accept {}", address.port()))
            .spawn(move || accepting.accept(&listener))?;
        Ok(Server {
            address,
            tls: tls.is_some(),
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or with https.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Every request since the start, in the order in which they were complete.
    pub fn requests(&self) -> Vec<Logged> {
        lock(&self.shared.log).clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        let mut connections = lock(&self.shared.connections);
        connections.retain(|c| !c.thread.is_finished());
        connections.len()
    }

    /// Calls `plan` before each further request is answered, with the request's number, counted from 1 since the server's
    /// start, and the request.
    pub fn misbehave(&self, plan: impl FnMut(usize, &Request) -> Option<Fault> + Send + 'static) {
        *lock(&self.shared.plan) = Some(Box::new(plan));
    }

    /// Ends what [`Server::misbehave`] began.
    pub fn behave(&self) {
        *lock(&self.shared.plan) = None;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // The acceptor sees the flag once something connects.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(5));
        if let (Ok(_), Some(acceptor)) = (woken, self.acceptor.take()) {
            let _ = acceptor.join();
        }
        let connections = std::mem::take(&mut *lock(&self.shared.connections));
        for connection in &connections {
            if let Some(socket) = connection.socket.upgrade() {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        for connection in connections {
            let _ = connection.thread.join();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for socket in listener.incoming() {
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            let Ok(socket) = socket else {
                // Probably out of file descriptors: give the threads time to close some.
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let socket = Arc::new(socket);
            let weak = Arc::downgrade(&socket);
            let serving = Arc::clone(&self);
            let thread = thread::Builder::new().spawn(move || serving.serve(socket));
            let mut connections = lock(&self.connections);
            connections.retain(|c| !c.thread.is_finished());
            if let Ok(thread) = thread {
                connections.push(Connection { socket: weak, thread });
            }
        }
    }

    fn serve(&self, socket: Arc<TcpStream>) {
        // Without this, an answer of two small writes waits for the client's acknowledgement.
        let _ = socket.set_nodelay(true);
        match &self.tls {
            None => {
                if let Some(address) = self.converse(&*socket, None).tunnel {
                    connect(&socket, address);
                }
            }
            Some(tls) => {
                if let Ok(mut session) = ServerConnection::new(Arc::clone(&tls.config)) {
                    let mut raw = &*socket;
                    let peer = handshake(&mut session, raw);
                    if self
                        .converse(rustls::Stream::new(&mut session, &mut raw), peer)
                        .whole
                    {
                        session.send_close_notify();
                        let _ = session.write_tls(&mut raw);
                    }
                }
            }
        }
        linger(&socket);
    }

    /// Answers the requests of a connection until one of the sides ends it.
    fn converse<S: Read + Write>(&self, stream: S, peer: Option<String>) -> Ended {
        let mut stream = BufReader::with_capacity(64 * 1024, stream);
        loop {
            let mut received = match connection::receive(&mut stream) {
                Ok(received) => received,
                Err(NoRequest::End) => return Ended::after(true),
                Err(NoRequest::Refused(status, why)) => {
                    return Ended::after(connection::refuse(stream.get_mut(), status, why).is_ok());
                }
            };
            received.request.peer.clone_from(&peer);
            let request = &received.request;
            let mut delivery = Delivery::default();
            let response = match self.note(request).or_else(|| self.service.fault(request)) {
                Some(Fault::Close) => return Ended::after(false),
                Some(Fault::Silence) => return wait_for_end(stream),
                Some(Fault::Answer(response)) => response,
                Some(Fault::Raw(write)) => {
                    let sent = write(stream.get_mut());
                    return Ended::after(sent.and_then(|()| stream.get_mut().flush()).is_ok());
                }
                Some(Fault::Lose) => {
                    self.service.answer(request);
                    return Ended::after(false);
                }
                fault => {
                    match fault {
                        Some(Fault::Cut(bytes)) => delivery.limit = Some(bytes),
                        Some(Fault::Stall(bytes)) => {
                            delivery.limit = Some(bytes);
                            delivery.stalls = true;
                        }
                        Some(Fault::Trickle(pause)) => delivery.pause = Some(pause),
                        Some(Fault::Delay(time)) => self.wait(time),
                        _ => {}
                    }
                    if let Some(address) = self.service.tunnel(request) {
                        return open_tunnel(stream.get_mut(), address);
                    }
                    self.service.answer(request)
                }
            };
            let sent = delivery.send(stream.get_mut(), &received, response);
            if sent.is_err() && delivery.stalls {
                return wait_for_end(stream);
            }
            if sent.is_err() || !received.keep_alive {
                return Ended::after(sent.is_ok());
            }
        }
    }

    /// Lets time pass, unless the server ends.
    fn wait(&self, time: Duration) {
        let since = Instant::now();
        while since.elapsed() < time && !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(20).min(time));
        }
    }

    /// Writes the request into the log and asks the plan.
    fn note(&self, request: &Request) -> Option<Fault> {
        let number = {
            let mut log = lock(&self.log);
            log.push(Logged {
                request: Request {
                    body: Vec::new(),
                    ..request.clone()
                },
                body_length: request.body.len(),
            });
            log.len()
        };
        lock(&self.plan).as_mut().and_then(|plan| plan(number, request))
    }
}

/// How an answer is sent.
#[derive(Default)]
struct Delivery {
    /// After this number of bytes of the body nothing more is sent.
    limit: Option<usize>,
    /// Whether the connection stays open then.
    stalls: bool,
    /// The pause before each byte.
    pause: Option<Duration>,
}

impl Delivery {
    fn send(&self, stream: &mut dyn Write, received: &Received, response: Response) -> io::Result<()> {
        match self.pause {
            Some(pause) => connection::send(&mut Slow { stream, pause }, received, response, self.limit),
            None => connection::send(stream, received, response, self.limit),
        }
    }
}

/// Answers a CONNECT; the caller then connects the client with the address.
fn open_tunnel(stream: &mut dyn Write, address: SocketAddr) -> Ended {
    let opened = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
    Ended {
        whole: true,
        tunnel: opened.is_ok().then_some(address),
    }
}

/// Begins TLS and returns the common name of the client's certificate. A failure shows at the first read.
fn handshake(session: &mut ServerConnection, mut socket: &TcpStream) -> Option<String> {
    while session.is_handshaking() {
        session.complete_io(&mut socket).ok()?;
    }
    super::tls::common_name(session.peer_certificates()?.first()?)
}

/// How a conversation ended.
struct Ended {
    /// Whether no answer was cut.
    whole: bool,
    /// The address to connect the client with.
    tunnel: Option<SocketAddr>,
}

impl Ended {
    fn after(whole: bool) -> Self {
        Ended { whole, tunnel: None }
    }
}

/// Reads until the client closes the connection or the server ends. The answer stays unfinished.
fn wait_for_end(mut stream: impl Read) -> Ended {
    let _ = io::copy(&mut stream, &mut io::sink());
    Ended::after(false)
}

/// Writes one byte at a time.
struct Slow<'a> {
    stream: &'a mut dyn Write,
    pause: Duration,
}

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let first = &bytes[..bytes.len().min(1)];
        thread::sleep(self.pause);
        self.stream.write_all(first)?;
        self.stream.flush()?;
        Ok(first.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Passes bytes both ways until both sides have ended.
fn connect(client: &TcpStream, address: SocketAddr) {
    let Ok(server) = TcpStream::connect(address) else {
        return;
    };
    let _ = server.set_nodelay(true);
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    thread::scope(|scope| {
        scope.spawn(|| pass(client, &server));
        pass(&server, client);
        // The server has ended, so nothing would read what the client still sends.
        let _ = client.shutdown(Shutdown::Both);
    });
}

/// Closes a socket so that the client gets what was sent. Unread input would turn the end into a reset.
fn linger(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
    let mut unread = [0; 16 * 1024];
    let mut socket = socket;
    for _ in 0..1024 {
        match socket.read(&mut unread) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let _ = socket.shutdown(Shutdown::Both);
}
