//! Reports: from mappings on stdin to a subscription service.
//!
//! Here is also what they share: the loop over the documents, and how old a document may be.

mod age;
pub mod candlepin;
mod documents;
pub mod sat5;
