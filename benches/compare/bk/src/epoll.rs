//! The few system calls that the standard library has not.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

const EVENTS: usize = 512;

/// What became readable, level-triggered.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new() -> Self {
        // SAFETY: neither call takes a pointer, and the descriptor is owned by nobody else.
        let fd = unsafe {
            // Time-outs are kept to the nanosecond instead of some 50 µs.
            libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64);
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(fd >= 0, "epoll: {}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        Self { fd, events }
    }

    pub fn add(&self, source: &impl AsRawFd, key: usize) {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLRDHUP).cast_unsigned(),
            u64: key as u64,
        };
        // SAFETY: both descriptors are open, and the event is only read.
        let result = unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                source.as_raw_fd(),
                &raw mut event,
            )
        };
        assert!(result == 0, "epoll: {}", io::Error::last_os_error());
    }

    /// Puts the keys of what is readable into `keys`. `None` waits for ever.
    pub fn wait(&mut self, timeout: Option<Duration>, keys: &mut Vec<usize>) {
        let timeout = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs().try_into().expect("a time-out"),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the array has room for as many events as are asked for, and the time-out outlives the call.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len(),
                timeout,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        keys.clear();
        // Negative if a signal came.
        let ready = usize::try_from(ready).unwrap_or(0);
        keys.extend(self.events[..ready].iter().map(|event| event.u64 as usize));
    }
}

/// A non-blocking listener. Its address is printed, because port 0 is a free one.
pub fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    socket.bind(&address.into()).expect("the address is free");
    socket.listen(4096).expect("a listener");
    let listener = TcpListener::from(socket);
    println!("{}", listener.local_addr().expect("an address"));
    listener
}

/// Confines the calling thread, and the processes that it starts, to one CPU.
pub fn pin(cpu: usize) {
    // SAFETY: the set is plain data, and the call only reads it.
    let result = unsafe {
        let mut set = std::mem::zeroed::<libc::cpu_set_t>();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
    };
    assert!(result == 0, "pin: {}", io::Error::last_os_error());
}

pub fn kill(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: no memory is involved. A process that is gone is no error here.
    unsafe { libc::kill(pid, signal) };
}
