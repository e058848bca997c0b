//! `bk otlp`: takes whatever is posted to it and answers 200, so that exports cost what they cost.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::args::Args;
use crate::epoll;
use crate::http::Message;

pub fn main(args: &Args) {
    let listener = epoll::listen(args.address("--listen"));
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
}

/// Until the exporter leaves or says something that is no request.
fn serve(mut stream: TcpStream) -> Option<()> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        while let Some(message) = Message::find(&bytes).ok()? {
            bytes.drain(..message.total);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
                .ok()?;
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&piece[..read]),
        }
    }
}
