//! Answers by XML-RPC: a value that was read can be sent, and is read as the same value; in a pickle, too. Whoever skips its members
//! reads the same answer to its end.

use vw::systems::satellite5::pickle;
use vw::xmlrpc::{self, Datum, Value};
use vw_fuzz::trickle;

pub fn run(bytes: &[u8]) {
    let answer = xmlrpc::answer(bytes);
    assert_eq!(
        format!("{answer:?}"),
        format!("{:?}", xmlrpc::answer(trickle(bytes)))
    );
    let streamed = xmlrpc::answer_with(trickle(bytes), |value: Value<'_, _>| {
        value.members(|_, value| value.skip())
    });
    if let Ok(whole) = &answer {
        assert_eq!(streamed.is_ok_and(|streamed| streamed.is_ok()), whole.is_ok());
    }
    let value = match answer {
        Ok(Ok(value)) => value,
        Ok(Err(fault)) => {
            assert!(
                fault.text.chars().count() <= 401 && !fault.text.contains('\n'),
                "{fault:?}"
            );
            return;
        }
        Err(_) => return,
    };
    send(&value);
    keep(&value);
}

/// What is sent is read back, if XML can carry it.
fn send(value: &Datum<'static>) {
    let Ok(call) = xmlrpc::call("a.method", std::slice::from_ref(value)) else {
        return;
    };
    let params = call.split_once("</methodName>").expect("a call").1;
    let answer = format!(
        "<methodResponse>{}",
        params.replace("</methodCall>", "</methodResponse>")
    );
    let again = xmlrpc::answer(answer.as_bytes());
    let again = again.expect("an answer that can be read").expect("a value");
    assert!(is_same(&again, value), "{again:?} instead of {value:?}");
}

/// Nil is sent as an empty string, and no number is equal to NaN.
fn is_same(one: &Datum<'_>, other: &Datum<'_>) -> bool {
    match (one, other) {
        (Datum::Text(text), Datum::Nil) => text.is_empty(),
        (Datum::Double(one), Datum::Double(other)) => one == other || one.is_nan() && other.is_nan(),
        (Datum::Array(one), Datum::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Datum::Struct(one), Datum::Struct(other)) => {
            let same =
                |((name, one), (as_well, other)): (&(_, _), &(_, _))| name == as_well && is_same(one, other);
            one.len() == other.len() && one.iter().zip(other).all(same)
        }
        (one, other) => one == other,
    }
}

/// The systemid in an answer is found in the file that keeps the answer.
fn keep(value: &Datum<'static>) {
    let kept = pickle::text_of(&pickle::write(value), "system_id");
    match value.member("system_id").and_then(Datum::as_text) {
        Some(text) => assert_eq!(kept.as_deref(), Ok(text)),
        None => assert!(kept.is_err()),
    }
}
