//! The viewer node: hears what the other nodes publish and shows it to browsers, whose calls it hands to the nodes' services.
//!
//! Nobody waits for it: it subscribes best effort, and its web server has threads of its own.

mod node;
mod services;
mod topics;

pub use node::build;
