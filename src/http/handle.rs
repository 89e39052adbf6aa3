//! The handle by which workers and the process reach the server's thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use super::access::Access;
use super::denials::Denials;
use super::request::Request;
use super::response::BodyBytes;
use super::single_flight::SingleFlight;
use super::slots::Token;
use crate::limits;

pub(crate) struct ServerHandle {
    access: RwLock<Arc<Access>>,
    is_stopping: AtomicBool,
    wake: EventFd,
    /// Requests that wait for a worker.
    pub(super) calls: SingleFlight<Request, Token>,
    /// Who was denied lately.
    pub(super) denials: Denials,
    /// Bytes of the responses that are being sent.
    pub(super) body_bytes: Arc<BodyBytes>,
}

impl ServerHandle {
    pub(crate) fn new(access: Access) -> io::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let is_stopping = AtomicBool::new(false);
        let (access, calls) = (RwLock::new(Arc::new(access)), SingleFlight::new());
        Ok(ServerHandle {
            access,
            is_stopping,
            wake,
            calls,
            denials: Denials::default(),
            body_bytes: Arc::default(),
        })
    }

    /// Applies new settings to every request that is read from now on.
    pub(crate) fn replace_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    pub(super) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the memory for responses suffices to begin another one. Each worker may begin one at the same
    /// moment.
    pub(super) fn has_room_for(&self, request: &Request) -> bool {
        request.is_for_health() || self.body_bytes.get() < limits::HTTP_RESPONSE_BYTES_MAX
    }

    /// Ends the server's thread and the workers.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Makes the server's thread check for answers and for a stop.
    pub(super) fn wake(&self) {
        let _ = self.wake.write(1);
    }

    /// Readable after [`wake`](Self::wake).
    pub(super) fn wake_descriptor(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub(super) fn acknowledge_wake(&self) {
        let _ = self.wake.read();
    }
}
