#!/usr/bin/env python3
"""Prints, as JSON, what Python's own configparser makes of odd configuration files.

    python3 tests/odd_files.py > tests/data/odd_files.json

virt-who reads its files with configparser, so this table says what the configuration room must read. Values have their
%(key)s put in and one pair of outer quotes taken off. In "python" and "ours" a section is null when it can't be used, a
value when it is an error; "python" is null when configparser refuses the whole file. "ours" stands only where we differ
on purpose, and "why" says so. Python 3.6 and later make the same table.

With the argument --read it reads a JSON list of files from stdin instead, and prints a list of their sections; there,
values have no newline before them, because we drop it on purpose.
"""

import configparser
import io
import json
import sys


def case(name, file, ours=None, why=None):
    """`file` is text, or bytes where it is not UTF-8."""
    return name, file, ours, why


PERCENT = "a lone % is a percent sign"
BROKEN = "a broken section leaves the others usable"
ODD = "odd names are refused"
ODDER = "odd names are refused, and Pythons before 3.10 find another name"

CASES = [
    case("plain", "[a]\nk=v\nl = w x\n"),
    case("colon", "[a]\nk: v\nl:w\nm : x\n"),
    case("first delimiter counts", "[a]\nurl=https://vc:443/sdk\nl: a=b\nm = a : b\n"),
    case("keys are lowered", "[a]\nServer=VC\nÄ=x\n"),
    case("section names are not", "[A b]\nk=v\n[a b]\nk=w\n"),
    case("no final newline", "[a]\nk=v"),
    case("empty file", ""),
    case("nothing but comments", "# a\n; b\n\n"),
    case("empty section", "[a]\n[b]\nk=v\n"),
    case("empty value", "[a]\nk=\nl =  \nm:\n"),
    case("blanks around", "[a]\n\tk\t=\tv w\t \n"),
    case("hash comment", "[a]\n# k=w\nk=v\n  # l=w\n"),
    case("semicolon comment", "[a]\n; k=w\nk=v\n\t;l=w\n"),
    case("comment after a value belongs to it", "[a]\nk=v # c\nl=v ; c\nm=v;c\nn=#v\n"),
    case("comment after a header", "[a] # c\nk=v\n[b] ; c\nl=w\n"),
    case("text after a header", "[a] b\nk=v\n"),
    case("header that looks like a key", "[a]=b\nk=v\n"),
    case("continuation", "[a]\nk=v\n w\n\tx\nl=m\n"),
    case("continuation with a delimiter", "[a]\nk=v\n l=w\n"),
    case("continuation over a comment", "[a]\nk=v\n# c\n w\n"),
    case("continuation over an indented comment", "[a]\nk=v\n  ; c\n w\n"),
    case("continuation over blank lines", "[a]\nk=v\n\n \n w\nl=m\n\n\n"),
    case("continuation looks like a header", "[a]\nk=v\n [b]\nl=m\n"),
    case("indented keys", "[a]\n  k=v\n  l=w\n    x\n  m=y\n"),
    case("keys dedented", "[a]\n  k=v\n l=w\nm=x\n"),
    case("indented header", " [a]\nk=v\n"),
    case("list over lines", "[a]\nfilter_hosts=one,\n  two,\n  three\n"),
    case("value begins in the next line", "[a]\nk=\n  v\nl=w\n", {"a": {"k": "v", "l": "w"}},
         "the newline before the value would only be in the way"),
    case("CRLF", "[a]\r\nk=v\r\n w\r\n\r\nl=m\r\n"),
    case("CR", "[a]\rk=v\rl=m\r"),
    case("backslash", "[a]\nk=C:\\Users\\name\nl=a\\\n b\nm=\\\\\nn=\\x41\\n\\t\n"),
    case("backslash in names", "[a\\b]\nk\\x41=v\n"),
    case("backslash before a delimiter", "[a]\nk\\=v\\:w\nl\\: x\nm\\\\ = \\=\n"),
    case("escapes of other formats", "[a\\x0041]\nk=\\x0041\\0\\a\\;\\#\nl\\n=\\\\n\n m\\\\\n\\=w\n"),
    case("odd blanks around a delimiter", "[a]\nk\x1c=\x1f\x1cv\nl\u00a0\x1d: \x85w\n\x1em=x\n"),
    case("only odd blanks in a value", "[a]\nk=\x1c\n v\nl=\u00a0\n", {"a": {"k": "v", "l": ""}},
         "the newline before the value would only be in the way"),
    case("brackets in keys and values", "[a]\nk[0]=[v]\nl=]\n m]\n"),
    case("quotes in keys", "[a]\n\"k\"='v\n'l=\"w\n"),
    case("delimiters alone", "[a]\nk==\nl=:\nm:=\nn::\n"),
    case("continuation of a delimiter", "[a]\nk==\n =\nl=v\n"),
    case("comments are no part of a continuation", "[a]\nk=v\n #c\n ;d\n\n w\n# e\n\n"),
    case("comment before the first section", "; c\n\n  # d\n[a]\nk=v\n"),
    case("duplicate key over lines", "[a]\nk=v\n w\nk=x\n"),
    case("duplicate DEFAULT", "[DEFAULT]\nk=v\n[a]\nl=%(k)s\n[DEFAULT]\nk=w\n"),
    case("vertical tab and form feed indent", "[a]\nk=v\n\x0bw\n\x0cx\n"),
    case("backslash at the end", "[a]\nk=v\\\nl=w\\"),
    case("outer quotes", "[a]\nk=\"v w\"\nl='v w'\nm=\" v \"\n"),
    case("quote inside", "[a]\nk=\"a\",\"b\"\nl='a','b'\nm=\"it's\"\nn='say \"x\"'\n"),
    case("half a quote", "[a]\nk=\"v\nl=v'\nm=\"\nn='\n"),
    case("nothing in quotes", "[a]\nk=\"\"\nl=''\n"),
    case("two pairs of quotes", "[a]\nk='\"v\"'\nl=\"'v'\"\n"),
    case("quotes around a comma", "[a]\nk='a, b'\n"),
    case("percent twice", "[a]\nk=100%%\nl=%%(m)s\nm=%%%%\n"),
    case("interpolation", "[a]\nk=v\nl=<%(k)s>\nm=%(L)s%(k)s\n"),
    case("interpolation of a later key", "[a]\nl=%(k)s\nk=v\n"),
    case("interpolation of a percent sign", "[a]\nk=50%%\nl=%(k)s\n"),
    case("interpolation keeps the inner quotes", "[a]\nk='v'\nl=%(k)s w\n"),
    case("interpolation from DEFAULT", "[DEFAULT]\nd=x\nk=y\n[a]\nk=v\nl=%(d)s%(k)s\n[b]\n"),
    case("DEFAULT at the end", "[a]\nl=%(d)s\n[DEFAULT]\nd=x\n"),
    case("nine deep", "[a]\n" + "".join(f"k{n}=%(k{n + 1})s\n" for n in range(9)) + "k9=v%%\n"),
    case("twelve deep", "[a]\n" + "".join(f"k{n}=%(k{n + 1})s\n" for n in range(12)) + "k12=v%%\n"),
    case("interpolation of itself", "[a]\nk=%(k)s\nl=w\n"),
    case("interpolation in a circle", "[a]\nk=%(l)s\nl=%(k)s\nm=w\n"),
    case("interpolation of nothing", "[a]\nk=%(gone)s\nl=w\n"),
    case("lone percent", "[a]\nk=50%\nl=p%ss\nm=%\n", {"a": {"k": "50%", "l": "p%ss", "m": "%"}}, PERCENT),
    case("open parenthesis", "[a]\nk=%(l\nl=w\nm=%(l)\nn=%()s\n",
         {"a": {"k": "%(l", "l": "w", "m": "%(l)", "n": "%()s"}}, PERCENT),
    case("non-ASCII", "[größe]\nk=Zürich 本 🐱\n"),
    case("no-break space", "[a]\n\u00a0k\u00a0=\u00a0v\u00a0\n"),
    case("odd blanks", "[a]\nk=\x1cv\x1f\nl=\x0bw\x0c\n"),
    case("line separators are no line ends", "[a]\nk=v\u2028w\x85x\x0by\n"),
    case("byte order mark", "\ufeff[a]\nk=v\n", {"a": {"k": "v"}}, "Windows writes it"),
    case("duplicate key", "[a]\nk=v\nK=w\nl=x\n"),
    case("duplicate section", "[a]\nk=v\nl=x\n[b]\nm=y\n[a]\nk=w\n"),
    case("key without a value", "[a]\nk\n[b]\nl=w\n", {"a": None, "b": {"l": "w"}}, BROKEN),
    case("value without a key", "[a]\n=v\n[b]\nl=w\n", {"a": None, "b": {"l": "w"}}, BROKEN),
    case("before the first section", "k=v\n[a]\nl=w\n", {"a": {"l": "w"}}, BROKEN),
    case("section without a name", "[a]\nk=v\n[]\nl=w\n[b]\nm=x\n", {"a": {"k": "v"}, "b": {"m": "x"}}, BROKEN),
    case("header that is not closed", "[a]\nk=v\n[b\nl=w\n[c]\nm=x\n", {"a": {"k": "v"}, "c": {"m": "x"}}, BROKEN),
    case("key with a bracket", "[a]\nk=v\n[b=w\nl=x\n[c]\nm=y\n", {"a": {"k": "v"}, "c": {"m": "y"}},
         "a header that is not closed, more likely than a key"),
    case("bracket in a name", "[a]b]\nk=v\n[c]\nl=w\n", {"c": {"l": "w"}}, ODDER),
    case("blanks in a header", "[ a ]\nk=v\n[c]\nl=w\n", {"c": {"l": "w"}}, ODD),
    case("two headers in a line", "[a][b]\nk=v\n[c]\nl=w\n", {"c": {"l": "w"}}, ODDER),
    case("NUL", "[a]\nk=v\0w\n[b]\nl=x\n", {"a": None, "b": {"l": "x"}}, "no key of ours can hold it"),
    case("Latin-1", b"[a]\nk=Z\xfcrich\n[b]\nl=x\n", {"a": None, "b": {"l": "x"}}, BROKEN),
    case("UTF-16", "[a]\nk=v\n".encode("utf-16"), {}, "named, and no section found"),
    case("not configuration", "#!/bin/sh\necho hello\n", {}, "named, and no section found"),
]


def without_quotes(value):
    """One pair of outer quotes is taken off, unless the same quote appears inside."""
    for quote in "\"'":
        if len(value) > 1 and value[0] == value[-1] == quote and quote not in value[1:-1]:
            return value[1:-1]
    return value


def python(content, keep_newline=True):
    parser = configparser.ConfigParser(strict=False)
    try:
        parser.read_file(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    except (configparser.Error, UnicodeDecodeError):
        return None
    sections = {}
    for name in parser.sections():
        sections[name] = {}
        for key in parser.options(name):
            try:
                value = parser.get(name, key)
                sections[name][key] = without_quotes(value if keep_newline else value.lstrip("\n"))
            except configparser.InterpolationError:
                sections[name][key] = None
    return sections


def main():
    if sys.argv[1:] == ["--read"]:
        files = json.load(sys.stdin)
        json.dump([python(file.encode("utf-8"), keep_newline=False) for file in files], sys.stdout)
        return
    rows = []
    for name, file, ours, why in CASES:
        text = isinstance(file, str)
        content = file.encode("utf-8") if text else file
        row = {"name": name, "file" if text else "hex": file if text else file.hex()}
        if why is not ODDER:
            row["python"] = python(content)
        if why:
            row.update(ours=ours, why=why)
        rows.append(row)
    print(json.dumps(rows, indent=1, ensure_ascii=True))


main()
