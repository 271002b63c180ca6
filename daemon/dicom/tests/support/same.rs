//! Two data sets that came over different transfer syntaxes: are they the same?

use dicom_object::InMemDicomObject;

/// Tags, structure and bytes; a VR that the dictionary does not say alone may differ.
pub fn assert_same(was: &InMemDicomObject, is: &InMemDicomObject) {
    assert_eq!(was.tags().collect::<Vec<_>>(), is.tags().collect::<Vec<_>>());
    for (was, is) in was.iter().zip(is.iter()) {
        match (was.items(), is.items()) {
            (Some(were), Some(are)) => {
                assert_eq!(were.len(), are.len());
                were.iter().zip(are).for_each(|(was, is)| assert_same(was, is));
            }
            // Not printed: a value may be megabytes.
            (None, None) => assert!(was.to_bytes().unwrap() == is.to_bytes().unwrap(), "{}", was.header().tag),
            _ => panic!("a sequence became a value, or the reverse"),
        }
    }
}
