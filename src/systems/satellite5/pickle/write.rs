//! Writes pickles.

use super::opcode::*;
use crate::xmlrpc::Datum;

/// Writes a value as a pickle of protocol 2, which Python 2 and 3 load.
pub fn write(value: &Datum<'_>) -> Vec<u8> {
    let mut pickle = vec![PROTO, 2];
    push(&mut pickle, value);
    pickle.push(STOP);
    pickle
}

fn push(pickle: &mut Vec<u8>, value: &Datum<'_>) {
    match value {
        Datum::Nil => pickle.push(NONE),
        Datum::Boolean(value) => pickle.push(if *value { NEWTRUE } else { NEWFALSE }),
        Datum::Int(value) => {
            pickle.extend([LONG1, 8]);
            pickle.extend(value.to_le_bytes());
        }
        Datum::Double(value) => {
            pickle.push(BINFLOAT);
            pickle.extend(value.to_be_bytes());
        }
        Datum::Text(text) => push_text(pickle, text),
        Datum::Array(values) => {
            pickle.extend([EMPTY_LIST, MARK]);
            for value in values {
                push(pickle, value);
            }
            pickle.push(APPENDS);
        }
        Datum::Struct(members) => {
            pickle.extend([EMPTY_DICT, MARK]);
            for (name, value) in members {
                push_text(pickle, name);
                push(pickle, value);
            }
            pickle.push(SETITEMS);
        }
    }
}

/// Writes a text. It comes from an answer, which is limited to a few MiB, so its length fits.
fn push_text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(BINUNICODE);
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}
