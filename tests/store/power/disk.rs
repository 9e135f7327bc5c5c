//! A disk that remembers all that was written to it, and when it was told to keep it; and what a loss of power may leave.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::random::splitmix64;

/// What a disk writes as one, as those of today do. ext4 relies on it: half of a superblock is none.
const SECTOR: usize = 4096;

/// What came to the disk, in order.
enum Order {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    /// All that was written before is kept from here on.
    Flush,
}

/// A disk; clones are the same one.
#[derive(Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

struct State {
    /// The bytes at the begin.
    first: Vec<u8>,
    now: Vec<u8>,
    orders: Vec<Order>,
}

/// A moment, by the orders that came before it.
pub(super) type Moment = usize;

impl Disk {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { first: bytes.clone(), now: bytes, orders: Vec::new() })))
    }

    pub(super) fn len(&self) -> usize {
        self.state().now.len()
    }

    pub(super) fn now(&self) -> Moment {
        self.state().orders.len()
    }

    pub(super) fn flushes(&self) -> usize {
        self.state().orders.iter().filter(|order| matches!(order, Order::Flush)).count()
    }

    pub(super) fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let state = self.state();
        let end = offset.saturating_add(len).min(state.now.len());
        state.now.get(offset..end).unwrap_or_default().to_vec()
    }

    /// Whether the bytes fit.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) -> bool {
        let mut state = self.state();
        let Some(place) = state.now.get_mut(offset..offset.saturating_add(bytes.len())) else { return false };
        place.copy_from_slice(bytes);
        state.orders.push(Order::Write { offset, bytes: bytes.to_vec() });
        true
    }

    pub(super) fn flush(&self) {
        self.state().orders.push(Order::Flush);
    }

    /// What a loss of power at that moment may leave: all that came before the last flush, and of what came after it
    /// nothing, all, some of the writes, or some of their sectors.
    pub(super) fn after_a_loss_of_power(&self, at: Moment, random: &mut u64) -> Vec<u8> {
        let state = self.state();
        let orders = &state.orders[..at];
        let kept = orders.iter().rposition(|order| matches!(order, Order::Flush)).unwrap_or(0);
        let mut image = state.first.clone();
        let mut put = |offset: usize, bytes: &[u8]| image[offset..offset + bytes.len()].copy_from_slice(bytes);
        let way = splitmix64(random) % 4;
        for (i, order) in orders.iter().enumerate() {
            let Order::Write { offset, bytes } = order else { continue };
            let mut is_lucky = || splitmix64(random).is_multiple_of(2);
            match way {
                _ if i < kept => put(*offset, bytes),
                0 => {}
                1 => put(*offset, bytes),
                2 if is_lucky() => put(*offset, bytes),
                2 => {}
                _ => {
                    let mut at = 0;
                    while at < bytes.len() {
                        let end = bytes.len().min(at + SECTOR - (offset + at) % SECTOR);
                        if is_lucky() {
                            put(offset + at, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
            }
        }
        image
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}
