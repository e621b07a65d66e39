//! The clients that are handed tokens.
//!
//! librdkafka takes a token from any thread, and copies it. What has to hold is that no
//! client is handed one after its end: a client is kept here from its making until right
//! before its end, and the list is locked while it is used.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};

use rdkafka::bindings as native;
use rdkafka::error::IsError as _;

use super::Token;
use crate::kafka::access::Access;
use crate::kafka::shared::lock;

/// All clients, and what they were handed last.
#[derive(Default)]
pub(super) struct Clients(Arc<Mutex<List>>);

#[derive(Default)]
struct List {
    clients: BTreeMap<u64, AtomicPtr<native::rd_kafka_t>>,
    next: u64,
    newest: Option<Token>,
}

/// A client's place in the list, which it leaves when this is dropped.
pub(super) struct Ticket {
    list: Arc<Mutex<List>>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.list).clients.remove(&self.number);
    }
}

impl Clients {
    /// Hands the client what there is and what will be, until the ticket is dropped,
    /// which has to be before the client ends.
    #[allow(unsafe_code)]
    pub(super) fn admit(&self, client: *mut native::rd_kafka_t) -> Ticket {
        let mut list = lock(&self.0);
        let number = list.next;
        list.next += 1;
        if let Some(newest) = &list.newest {
            // SAFETY: whoever calls this has just made the client.
            if let Err(error) = unsafe { newest.hand_to(client) } {
                tracing::debug!("a new client does not take the token: {error}");
            }
        }
        list.clients.insert(number, AtomicPtr::new(client));
        Ticket { list: Arc::clone(&self.0), number }
    }

    /// Hands it to every client, unless they have it. Is an error where one does not
    /// take it; then none is taken to have it.
    #[allow(unsafe_code)]
    pub(super) fn give(&self, new: Token) -> Result<(), String> {
        let mut list = lock(&self.0);
        if list.newest.as_ref() == Some(&new) {
            return Ok(());
        }
        for client in list.clients.values() {
            // SAFETY: a client that is in the list is alive: its ticket is dropped before
            // it ends, and that waits for the lock which is held here.
            unsafe { new.hand_to(client.load(Ordering::Relaxed)) }?;
        }
        list.newest = Some(new);
        Ok(())
    }

    /// What is to be said of what was handed over last, if anything was.
    pub(super) fn newest<A>(&self, of: impl FnOnce(&Token) -> A) -> Option<A> {
        lock(&self.0).newest.as_ref().map(of)
    }
}

impl Token {
    /// Hands it to a client; the error is why it does not take it.
    ///
    /// # Safety
    /// The client is alive for as long as this call lasts.
    #[allow(unsafe_code)]
    unsafe fn hand_to(&self, client: *mut native::rd_kafka_t) -> Result<(), String> {
        let zero = |_| "it holds a zero byte".to_owned();
        let value = CString::new(self.value.as_str()).map_err(zero)?;
        let principal = CString::new(self.principal.as_str()).map_err(zero)?;
        let mut extensions = Vec::with_capacity(2 * self.extensions.len());
        for (key, value) in &self.extensions {
            extensions.push(CString::new(key.as_str()).map_err(zero)?);
            extensions.push(CString::new(value.as_str()).map_err(zero)?);
        }
        let mut pointers: Vec<*const c_char> =
            extensions.iter().map(|text| text.as_ptr()).collect();
        let mut said: [c_char; 256] = [0; 256];
        // SAFETY: the client is alive, as the caller promises; every text is
        // zero-terminated and copied by the call; the lengths are those of the arrays.
        let code = unsafe {
            native::rd_kafka_oauthbearer_set_token(
                client,
                value.as_ptr(),
                self.expires,
                principal.as_ptr(),
                if pointers.is_empty() { ptr::null_mut() } else { pointers.as_mut_ptr() },
                pointers.len(),
                said.as_mut_ptr(),
                said.len(),
            )
        };
        if !code.is_error() {
            return Ok(());
        }
        // SAFETY: librdkafka ends what it writes there with a zero, and there was one
        // before.
        let said = unsafe { CStr::from_ptr(said.as_ptr()) };
        Err(said.to_string_lossy().into_owned())
    }
}

/// A client that signs in as the configuration says.
pub(in crate::kafka) struct Admitted<C> {
    /// Before the client, so that it is given up before the client ends.
    _ticket: Option<Ticket>,
    client: C,
}

impl<C> Admitted<C> {
    /// `native` gives the client's own pointer.
    pub(in crate::kafka) fn new(
        access: &Access,
        client: C,
        native: impl FnOnce(&C) -> *mut native::rd_kafka_t,
    ) -> Self {
        let ticket = access.tokens().map(|tokens| tokens.admit(native(&client)));
        Admitted { _ticket: ticket, client }
    }
}

impl<C> Deref for Admitted<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.client
    }
}
