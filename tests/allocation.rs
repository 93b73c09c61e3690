//! A policy step allocates nothing.
#![allow(unsafe_code, clippy::unwrap_used)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{beetle, lively_policy, state_of};

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: hands everything to the system's allocator unchanged; the counter is a plain thread-local that does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_policy_step_allocates_nothing() {
    let mut policy = lively_policy().policy().unwrap();
    policy.start(1);
    let state = state_of(&beetle());
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        policy.step(&state).unwrap();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // The counter counts.
    let kept = Box::new(7u8);
    assert_eq!((ALLOCATIONS.get() - before, *kept), (1, 7));
}
