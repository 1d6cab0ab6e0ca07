use super::*;
use proptest::prelude::*;

fn response(value: &str) -> Vec<u8> {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><methodResponse><params><param>{value}</param></params></methodResponse>"
    )
    .into_bytes()
}

fn read(value: &str) -> Result<Datum<'static>, Error> {
    answer(&*response(value)).map(Result::unwrap)
}

#[test]
fn the_types_of_both_endpoints_are_read() {
    let int = |n| Datum::Int(n);
    let table = [
        ("<value><i4>7</i4></value>", int(7)),
        ("<value> <int>-1</int>\n</value>", int(-1)),
        ("<value><ex:i8>4294967296</ex:i8></value>", int(1 << 32)),
        ("<value><boolean>1</boolean></value>", Datum::Boolean(true)),
        ("<value><double>1.5</double></value>", Datum::Double(1.5)),
        ("<value><nil/></value>", Datum::Nil),
        ("<value/>", Datum::text("")),
        ("<value>  void </value>", Datum::text("  void ")),
        ("<value><string/></value>", Datum::text("")),
        (
            "<value><string>a&lt;b&#38;<![CDATA[<c>]]> </string></value>",
            Datum::text("a<b&<c> "),
        ),
        (
            "<value><dateTime.iso8601>20200102T03:04:05</dateTime.iso8601></value>",
            Datum::text("20200102T03:04:05"),
        ),
        (
            "<value><array><data></data></array></value>",
            Datum::Array(vec![]),
        ),
        ("<value><array>\n<data/>\n</array></value>", Datum::Array(vec![])),
        ("<value><struct></struct></value>", Datum::Struct(vec![])),
        (
            "<value><struct> <member><name>a</name><value>1</value></member> </struct></value>",
            Datum::members([("a", Datum::text("1"))]),
        ),
    ];
    for (xml, value) in table {
        assert!(read(xml).unwrap() == value, "{xml}");
    }
}

#[test]
fn a_fault_is_read_on_one_line_and_without_the_name_of_the_java_class() {
    let fault = |text: &str| {
        format!(
            "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>-9</int></value></member>\
             <member><name>faultString</name><value><string>{text}</string></value></member></struct></value></fault></methodResponse>"
        )
    };
    let read = |text: &str| answer(fault(text).as_bytes()).unwrap().unwrap_err();
    let python = read("\nError Message:\n    Please run rhn_register\nError Class Code: 9\n");
    assert_eq!(
        python.text,
        "Error Message: Please run rhn_register Error Class Code: 9"
    );
    assert_eq!(python.code, -9);
    assert_eq!(
        read("redstone.xmlrpc.XmlRpcFault: No such channel: x.").text,
        "No such channel: x"
    );
    assert_eq!(read(&"é".repeat(500)).text.chars().count(), 401);
}

#[test]
fn other_answers_are_refused_in_one_line() {
    let deep = format!(
        "{}{}",
        "<value><array><data>".repeat(100_000),
        "</data></array></value>".repeat(100_000)
    );
    let table = [
        ("", "root is not <methodResponse>"),
        ("hello", "text instead of XML"),
        ("{\"error\":404}", "JSON instead of XML"),
        ("<a/>", "root is not <methodResponse>"),
        ("<!DOCTYPE html><html></html>", "HTML page"),
        ("<html><body/></html>", "HTML page"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><methodResponse/>", "document type"),
        ("<methodResponse><params><param><value>x", "cut after"),
        ("<methodResponse></params>", "expected"),
        (
            "<methodResponse><fault><value>x</value></fault></methodResponse>",
            "without code",
        ),
        ("<methodResponse><nothing/></methodResponse>", "neither"),
    ];
    for (body, expected) in table {
        let error = answer(body.as_bytes()).unwrap_err().with_causes();
        assert!(error.contains(expected), "{body}: {error}");
    }
    let values = [
        (deep.as_str(), "nested deeper"),
        ("<value><int>1.5</int></value>", "type or number"),
        ("<value><int>99999999999999999999</int></value>", "type or number"),
        ("<value><secret>s3cret</secret></value>", "type or number"),
        ("<value>&secret;</value>", "unknown entity"),
        ("<value>a<int>1</int></value>", "text before"),
        ("<value>1</value><value>2</value>", "too many"),
        ("<value><string>a<b/></string></value>", "within a text"),
        ("<value><array/></value>", "no <data>"),
    ];
    for (xml, expected) in values {
        let error = read(xml).unwrap_err().with_causes();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
    let mut twice = response("<value>1</value>");
    twice.extend_from_within(..);
    assert!(answer(&*twice).is_err());
    assert!(answer(&b"\xff"[..]).unwrap_err().with_causes().contains("UTF-8"));
}

#[test]
fn what_the_server_could_not_read_is_not_sent() {
    let text = call("m", &[Datum::text("a\u{1}")]);
    assert!(matches!(text, Err(Error::Unsendable('\u{1}'))), "{text:?}");
    let number = call("m", &[Datum::Int(1 << 31)]);
    assert!(matches!(number, Err(Error::LargeNumber(_))), "{number:?}");
    let sent = call("m", &[Datum::text("\r\n<&>"), Datum::Nil]).unwrap();
    assert!(
        sent.contains("<string>&#13;\n&lt;&amp;&gt;</string>"),
        "{}",
        *sent
    );
    assert!(!sent.contains("nil"));
}

fn values() -> impl Strategy<Value = Datum<'static>> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(|n| Datum::Int(n.into())),
        any::<bool>().prop_map(Datum::Boolean),
        "[ -~\t\r\né\u{10000}]{0,8}".prop_map(Datum::text),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Datum::Array),
            prop::collection::vec(("[a-z<&]{1,4}".prop_map(Cow::from), inner), 0..4).prop_map(Datum::Struct),
        ]
    })
}

/// What a streaming reader sees of `value`: the names of the members and the texts of "wanted", or the elements' texts.
fn streamed(value: &str) -> Result<Vec<String>, Error> {
    let mut seen = Vec::new();
    let read = answer_with(&*response(value), |value| {
        value.members(|name, value| {
            seen.push(name.to_owned());
            match name {
                "wanted" => seen.extend(value.read()?.into_text()),
                "list" => {
                    let is_list = value.elements(|element| {
                        seen.extend(element.read()?.into_text());
                        Ok(())
                    })?;
                    seen.push(is_list.to_string());
                }
                _ => value.skip()?,
            }
            Ok(())
        })
    });
    seen.push(read?.unwrap().to_string());
    Ok(seen)
}

#[test]
fn a_struct_is_read_member_by_member() {
    let member = |name: &str, value: &str| format!("<member><name>{name}</name>{value}</member>");
    let all = [
        member("deep", "<value><struct><member><odd/></member></struct></value>"),
        member("wanted", "<value>a</value>"),
        member("n", "<value><int>x</int></value>"),
        member(
            "list",
            "<value><array><data><value>1</value> <value><string>2</string></value></data></array></value>",
        ),
        member("list", "<value>text</value>"),
        member("list", "<value><struct/></value>"),
        member("wanted", "<value><boolean>1</boolean></value>"),
    ];
    let seen = streamed(&format!("<value><struct>{}</struct></value>", all.concat())).unwrap();
    let expected = "deep wanted a n list 1 2 true list false list false wanted true";
    assert_eq!(seen.join(" "), expected);
    for other in [
        "<value>text</value>",
        "<value><array><data/></array></value>",
        "<value/>",
    ] {
        assert_eq!(streamed(other).unwrap(), ["false"], "{other}");
    }
    let error = streamed("<value><struct><member><value/></member></struct></value>");
    assert!(error.unwrap_err().with_causes().contains("no <name>"));
}

#[test]
fn an_answer_may_be_larger_than_what_is_kept_of_it() {
    let unneeded = "<member><name>other</name><value><string>0123456789</string></value></member>";
    let count = 2 * usize::try_from(xml::MAX_UNIT).unwrap() / unneeded.len();
    let value = format!("<value><struct>{}</struct></value>", unneeded.repeat(count));
    assert_eq!(streamed(&value).unwrap().len(), count + 1);
    assert!(read(&value).unwrap_err().with_causes().contains("16 MiB"));
}

proptest! {
    #[test]
    fn a_written_value_is_read_back(value in values()) {
        let mut xml = String::new();
        push_value(&mut xml, &value).unwrap();
        prop_assert!(read(&xml).unwrap() == value);
    }

    #[test]
    fn garbage_never_panics(cut in 0usize..400, at in 0usize..400, byte in any::<u8>()) {
        let mut body = response("<value><struct><member><name>a</name><value><array><data><value><i4>1</i4></value></data></array></value></member></struct></value>");
        let at = at % body.len();
        body[at] = byte;
        body.truncate(cut);
        let _ = answer(&*body);
    }
}
