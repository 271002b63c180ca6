//! What the objects have in common: they show a row, can be updated with a newer row, and signal the differences.

use std::borrow::Cow;
use std::collections::HashMap;

use zbus::object_server::{Interface, SignalEmitter};
use zbus::{Connection, OwnedObjectPath, OwnedVariant, Variant, fdo};

/// An interface that shows one row.
pub trait Exported: Interface {
    type Row: Send + Sync;
    fn new(row: Self::Row) -> Self;
    fn replace(&mut self, row: Self::Row);
}

/// Exports the row as an object, or updates the object and emits PropertiesChanged for the differences.
///
/// # Errors
/// When the connection is lost.
pub async fn show<I: Exported>(connection: &Connection, path: &OwnedObjectPath, row: I::Row) -> zbus::Result<()> {
    let server = connection.object_server();
    let Ok(object) = server.interface::<_, I>(path).await else {
        server.at(path, I::new(row)).await?;
        return Ok(());
    };
    let emitter = object.signal_emitter();
    let (before, after) = {
        let mut object = object.get_mut().await;
        let before = object.get_all(server, connection, None, emitter).await?;
        object.replace(row);
        (before, object.get_all(server, connection, None, emitter).await?)
    };
    tell::<I>(emitter, &before, &after).await
}

/// Emits one PropertiesChanged for all properties that differ, or none if nothing differs.
///
/// # Errors
/// When the connection is lost.
pub async fn tell<I: Interface>(
    emitter: &SignalEmitter<'_>,
    before: &HashMap<String, OwnedVariant>,
    after: &HashMap<String, OwnedVariant>,
) -> zbus::Result<()> {
    let mut changed: HashMap<&str, Variant<'_>> = HashMap::new();
    for (name, value) in after {
        if before.get(name) != Some(value) {
            changed.insert(name, Variant::try_from(value)?);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    fdo::Properties::properties_changed(emitter, I::name(), changed, Cow::Borrowed(&[])).await
}
