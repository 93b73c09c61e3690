//! The viewer's server: one page and a WebSocket per browser, over which the robot and its weights are seen and its services called.
//!
//! Knows no ROS: the node fills a [`Picture`] from topics, posts frames on a [`Board`], and answers the [`Call`]s that come out of it.
//! Whoever watches can never slow the node: a board holds only the latest frame of each kind, and a browser that is slow misses some.
//! The protocol stands in [`protocol`].

mod access;
mod board;
mod joints;
mod listener;
mod page;
mod picture;
pub mod protocol;
mod reference;
mod server;
mod services;
mod session;

pub use access::{Access, AccessError, Refusal};
pub use board::{Board, Call, Frame, Kind};
pub use page::is_embedded;
pub use picture::{BasePose, Feet, Picture, PictureError, Plasticity, Presence, Simulation};
pub use reference::{ReferenceError, WeightReference};
pub use server::{Limits, Server, ServerError};
pub use services::{RequestError, check_request, default_weights_file, known_services};
