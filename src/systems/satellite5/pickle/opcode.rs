//! The opcodes of plain data, by their names in Python's `pickletools`.

macro_rules! opcodes {
    ($($name:ident = $byte:expr;)*) => {
        $(pub(super) const $name: u8 = $byte;)*
    };
}

opcodes! {
    // The layout of the file.
    PROTO = 0x80;
    FRAME = 0x95;
    STOP = b'.';
    // The stack.
    MARK = b'(';
    POP = b'0';
    POP_MARK = b'1';
    DUP = b'2';
    // None, truth values and numbers.
    NONE = b'N';
    NEWTRUE = 0x88;
    NEWFALSE = 0x89;
    INT = b'I';
    LONG = b'L';
    FLOAT = b'F';
    BININT = b'J';
    BININT1 = b'K';
    BININT2 = b'M';
    BINFLOAT = b'G';
    LONG1 = 0x8a;
    LONG4 = 0x8b;
    // Texts.
    STRING = b'S';
    UNICODE = b'V';
    SHORT_BINSTRING = b'U';
    SHORT_BINBYTES = b'C';
    SHORT_BINUNICODE = 0x8c;
    BINSTRING = b'T';
    BINBYTES = b'B';
    BINUNICODE = b'X';
    BINUNICODE8 = 0x8d;
    BINBYTES8 = 0x8e;
    // Dicts, lists and tuples.
    EMPTY_DICT = b'}';
    DICT = b'd';
    SETITEM = b's';
    SETITEMS = b'u';
    EMPTY_LIST = b']';
    LIST = b'l';
    APPEND = b'a';
    APPENDS = b'e';
    EMPTY_TUPLE = b')';
    TUPLE = b't';
    TUPLE1 = 0x85;
    TUPLE2 = 0x86;
    TUPLE3 = 0x87;
    // The memo.
    PUT = b'p';
    BINPUT = b'q';
    LONG_BINPUT = b'r';
    MEMOIZE = 0x94;
    GET = b'g';
    BINGET = b'h';
    LONG_BINGET = b'j';
}
