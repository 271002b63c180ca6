//! Writes a level of a worklist item: every key of a table in its order, with a value or empty.

use std::collections::BTreeMap;

use crate::elements::{Syntax, Tag, Writer};

#[derive(Debug)]
pub(super) enum Value {
    /// In the character set of the item.
    Text(Vec<u8>),
    Number(u16),
    /// The only item of a sequence.
    Item(Vec<u8>),
}

#[derive(Debug)]
pub(super) struct Table(BTreeMap<Tag, Option<Value>>);

impl Table {
    pub(super) fn new(keys: &[Tag]) -> Self {
        Self(keys.iter().map(|tag| (*tag, None)).collect())
    }

    pub(super) fn set(&mut self, tag: Tag, value: Value) {
        self.0.insert(tag, Some(value));
    }

    pub(super) fn finish(self, syntax: Syntax) -> Vec<u8> {
        let mut writer = Writer::new(syntax);
        for (tag, value) in self.0 {
            match (representation(tag), value) {
                (_, Some(Value::Item(item))) => writer.sequence(tag, [item]),
                (b"SQ", _) => writer.sequence(tag, []),
                (_, Some(Value::Number(number))) => writer.number(tag, number),
                (b"US", _) => writer.number_unset(tag),
                (vr, Some(Value::Text(bytes))) => writer.bytes(tag, *vr, bytes),
                (vr, None) => writer.bytes(tag, *vr, Vec::new()),
            }
        }
        writer.finish()
    }
}

/// Of the keys of a worklist item (PS3.6 chapter 6).
fn representation(tag: Tag) -> &'static [u8; 2] {
    match tag {
        (0x0008, 0x0005 | 0x0060) | (0x0010, 0x0040) => b"CS",
        (0x0008, 0x0050) | (0x0040, 0x0009 | 0x0010 | 0x0011 | 0x1001 | 0x1003) => b"SH",
        (0x0008, 0x0090) | (0x0010, 0x0010) | (0x0032, 0x1032) | (0x0040, 0x0006) => b"PN",
        (0x0008, 0x1110 | 0x1120) | (0x0032, 0x1064) | (0x0040, 0x0008 | 0x0100) => b"SQ",
        (0x0010, 0x0030) | (0x0040, 0x0002) => b"DA",
        (0x0010, 0x1030) => b"DS",
        (0x0010, 0x21c0) => b"US",
        (0x0020, 0x000d) => b"UI",
        (0x0040, 0x0001) => b"AE",
        (0x0040, 0x0003) => b"TM",
        _ => b"LO",
    }
}
