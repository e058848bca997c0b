//! An API that keeps every byte that it is sent, and says success to whatever looks like the end of a head.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SUCCESS: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 76\r\n\r\n\
    {\"code\":\"SUCCESS\",\"details\":{},\"message\":\"Photo deleted\",\"status\":\"success\"}";

pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(record(stream, Arc::clone(&book)));
            }
        });
        Self { address, heard }
    }

    /// What came since this was asked last, cut behind each empty line.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

async fn record(mut stream: TcpStream, heard: Arc<Mutex<Vec<String>>>) {
    let mut unread = Vec::new();
    while stream
        .read_buf(&mut unread)
        .await
        .is_ok_and(|count| count > 0)
    {
        while let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let request = unread.drain(..end + 4).collect();
            heard
                .lock()
                .unwrap()
                .push(String::from_utf8(request).unwrap());
            stream.write_all(SUCCESS).await.unwrap();
        }
    }
    if !unread.is_empty() {
        heard
            .lock()
            .unwrap()
            .push(format!("{unread:?}, and the end"));
    }
}
