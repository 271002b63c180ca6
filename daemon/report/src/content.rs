//! The content tree of a structured report: items, relationships, and their encoding.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;

use crate::codes::Code;
use crate::dataset::{self, DataSet};

/// The relationship of an item to its parent (PS3.3 section C.17.3.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Contains,
    HasConceptMod,
    HasObsContext,
    HasAcqContext,
    HasProperties,
    SelectedFrom,
    InferredFrom,
}

impl Relation {
    fn text(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasConceptMod => "HAS CONCEPT MOD",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::HasAcqContext => "HAS ACQ CONTEXT",
            Self::HasProperties => "HAS PROPERTIES",
            Self::SelectedFrom => "SELECTED FROM",
            Self::InferredFrom => "INFERRED FROM",
        }
    }
}

/// The part of an object that an IMAGE item refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// Frame number from 1.
    Frame(u32),
    /// Segment number from 1.
    Segment(u16),
}

#[derive(Debug, Clone)]
pub enum Value {
    /// With the template number (DCMR) if it is the root of a template.
    Container(Option<&'static str>),
    Code(Code),
    Text(String),
    /// Text of a person, in the character set of the source.
    Typed(Vec<u8>),
    Uid(String),
    /// As DICOM writes it (DA).
    Date(String),
    Number {
        value: f64,
        unit: Code,
    },
    Image {
        sop_class_uid: String,
        sop_uid: String,
        part: Part,
    },
    /// An object that is no image.
    Composite {
        sop_class_uid: String,
        sop_uid: String,
    },
    /// Pairs of column and row; (0, 0) is the top left corner of the top left pixel (PS3.3 section C.18.6).
    Coordinates {
        kind: &'static str,
        points: Vec<[f32; 2]>,
    },
    /// An item elsewhere in the tree: the places of the items on the way to it, from 1; the root is 1 (PS3.3 section C.17.3.2.5).
    There(Vec<u32>),
}

#[derive(Debug, Clone)]
pub struct Item {
    relation: Relation,
    name: Option<Code>,
    value: Value,
    children: Vec<Item>,
}

impl Item {
    pub fn new(relation: Relation, name: Code, value: Value) -> Self {
        Self { relation, name: Some(name), value, children: Vec::new() }
    }

    /// An item without a concept name (an IMAGE of an image library).
    pub fn nameless(relation: Relation, value: Value) -> Self {
        Self { relation, name: None, value, children: Vec::new() }
    }

    pub fn container(name: Code, template: Option<&'static str>) -> Self {
        Self::new(Relation::Contains, name, Value::Container(template))
    }

    pub fn code(relation: Relation, name: Code, value: Code) -> Self {
        Self::new(relation, name, Value::Code(value))
    }

    pub fn text(relation: Relation, name: Code, value: impl Into<String>) -> Self {
        Self::new(relation, name, Value::Text(value.into()))
    }

    pub fn uid(relation: Relation, name: Code, value: impl Into<String>) -> Self {
        Self::new(relation, name, Value::Uid(value.into()))
    }

    /// A reference to an item elsewhere in the tree, see [`Value::There`].
    pub fn there(relation: Relation, place: Vec<u32>) -> Self {
        Self::nameless(relation, Value::There(place))
    }

    /// A measurement, rounded to `digits` decimals, because CT measurements are not more precise. Never -0.
    pub fn number(name: Code, value: f64, digits: i32, unit: Code) -> Self {
        let scale = 10f64.powi(digits);
        Self::new(Relation::Contains, name, Value::Number { value: (value * scale).round() / scale + 0.0, unit })
    }

    /// The same under another relationship.
    pub fn related(mut self, relation: Relation) -> Self {
        self.relation = relation;
        self
    }

    pub fn with(mut self, child: Item) -> Self {
        self.children.push(child);
        self
    }

    pub fn with_all(mut self, children: impl IntoIterator<Item = Item>) -> Self {
        self.children.extend(children);
        self
    }

    /// Encodes the root item. Its attributes go directly into the data set of the document.
    pub fn encode_root(self, set: &mut DataSet) {
        self.encode_value(set);
    }

    fn encode(self) -> DataSet {
        let mut set = DataSet::new();
        set.text(tags::RELATIONSHIP_TYPE, VR::CS, self.relation.text());
        self.encode_value(&mut set);
        set
    }

    fn encode_value(self, set: &mut DataSet) {
        if let Value::There(place) = &self.value {
            // A reference has no value type, name or children of its own.
            let place = PrimitiveValue::U32(place.iter().copied().collect());
            return set.primitive(tags::REFERENCED_CONTENT_ITEM_IDENTIFIER, VR::UL, place);
        }
        let value_type = match &self.value {
            Value::Container(_) => "CONTAINER",
            Value::Code(_) => "CODE",
            Value::Text(_) | Value::Typed(_) => "TEXT",
            Value::Uid(_) => "UIDREF",
            Value::Date(_) => "DATE",
            Value::Number { .. } => "NUM",
            Value::Image { .. } => "IMAGE",
            Value::Composite { .. } => "COMPOSITE",
            Value::Coordinates { .. } => "SCOORD",
            Value::There(_) => return,
        };
        set.text(tags::VALUE_TYPE, VR::CS, value_type);
        if let Some(name) = self.name {
            set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, name);
        }
        match self.value {
            Value::Container(template) => {
                set.text(tags::CONTINUITY_OF_CONTENT, VR::CS, "CONTINUOUS");
                if let Some(template) = template {
                    let mut item = DataSet::new();
                    item.text(tags::MAPPING_RESOURCE, VR::CS, "DCMR");
                    item.text(tags::TEMPLATE_IDENTIFIER, VR::CS, template);
                    set.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![item]);
                }
            }
            Value::Code(code) => set.code(tags::CONCEPT_CODE_SEQUENCE, code),
            Value::Text(text) => set.text(tags::TEXT_VALUE, VR::UT, &text),
            Value::Typed(bytes) => set.bytes(tags::TEXT_VALUE, VR::UT, bytes),
            Value::Uid(uid) => set.text(tags::UID, VR::UI, &uid),
            Value::Date(date) => set.text(tags::DATE, VR::DA, &date),
            Value::There(_) => {}
            Value::Number { value, unit } => {
                let mut item = DataSet::new();
                item.decimals(tags::NUMERIC_VALUE, &[value]);
                item.code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, unit);
                set.sequence(tags::MEASURED_VALUE_SEQUENCE, vec![item]);
            }
            Value::Image { sop_class_uid, sop_uid, part } => {
                let mut item = dataset::reference(&sop_class_uid, &sop_uid);
                match part {
                    Part::Whole => {}
                    Part::Frame(n) => item.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &n.to_string()),
                    Part::Segment(n) => item.shorts(tags::REFERENCED_SEGMENT_NUMBER, &[n]),
                }
                set.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item]);
            }
            Value::Composite { sop_class_uid, sop_uid } => {
                let item = dataset::reference(&sop_class_uid, &sop_uid);
                set.sequence(tags::REFERENCED_SOP_SEQUENCE, vec![item]);
            }
            Value::Coordinates { kind, points } => {
                set.text(tags::GRAPHIC_TYPE, VR::CS, kind);
                let flat = points.iter().flatten().copied().collect();
                set.primitive(tags::GRAPHIC_DATA, VR::FL, PrimitiveValue::F32(flat));
            }
        }
        if !self.children.is_empty() {
            let children = self.children.into_iter().map(Item::encode).collect();
            set.sequence(tags::CONTENT_SEQUENCE, children);
        }
    }
}
