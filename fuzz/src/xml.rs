//! What quick-xml sees in a document, for a comparison with our own reader. The reader's unit tests compare the same.

use vw::xml::{MAX_DEPTH, Reader};

#[path = "../../src/xml/tests/reference.rs"]
mod reference;

pub use reference::*;
