//! Blocks of private elements (PS3.5 section 7.8.1).

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_object::InMemDicomObject;

/// One reserved block of a group: the creator is written first, then the elements.
#[derive(Debug)]
pub struct Block<'a> {
    object: &'a mut InMemDicomObject,
    group: u16,
    block: u16,
}

impl<'a> Block<'a> {
    /// Reserves (group,00bb) with the creator's name.
    pub fn new(object: &'a mut InMemDicomObject, group: u16, block: u8, creator: &str) -> Self {
        let block = u16::from(block);
        object.put(DataElement::new(Tag(group, block), VR::LO, PrimitiveValue::from(creator)));
        Self { object, group, block: block << 8 }
    }

    pub fn put(&mut self, element: u8, vr: VR, value: impl Into<PrimitiveValue>) -> &mut Self {
        let tag = Tag(self.group, self.block | u16::from(element));
        self.object.put(DataElement::new(tag, vr, value.into()));
        self
    }
}
