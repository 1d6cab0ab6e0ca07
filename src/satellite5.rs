//! Reports a mapping to a Satellite 5 or Spacewalk server by XML-RPC.

pub mod pickle;
pub mod xmlrpc;
