//! Which video devices there are, by what the kernel says of them; none is opened.

use std::path::PathBuf;

use crate::root::Root;

/// A video device file. One card may have several: pictures, sound, metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// To be opened, for example `video0` in the device folder.
    pub path: PathBuf,
    /// As the driver calls it.
    pub name: String,
    /// Which of the card's files it is; pictures are usually number 0.
    pub index: u32,
}

/// All video devices, in the order of their numbers. Where nothing can be read there are none.
pub fn video_devices(root: &Root) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(root.video_class()) else { return Vec::new() };
    let mut found: Vec<(u32, Found)> = entries
        .flatten()
        .filter_map(|entry| {
            let node = entry.file_name().into_string().ok()?;
            // Also in that class: v4l-subdevN, vbiN, radioN.
            let number = node.strip_prefix("video")?.parse().ok()?;
            let fact = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
            let index = fact("index").trim().parse().unwrap_or(0);
            Some((number, Found { path: root.device(&node), name: fact("name").trim().to_owned(), index }))
        })
        .collect();
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, device)| device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_listed_with_their_names_in_order() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::at(tree.path());
        assert_eq!(video_devices(&root), []);
        for (node, name, index) in [
            ("video10", "vivid-000-vid-cap\n", "0\n"),
            ("video2", "USB Video\n", "1\n"),
            ("v4l-subdev0", "sensor\n", "0\n"),
            ("videoX", "no number\n", "0\n"),
        ] {
            let folder = root.video_class().join(node);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("name"), name).unwrap();
            std::fs::write(folder.join("index"), index).unwrap();
        }
        let found = video_devices(&root);
        assert_eq!(found.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["USB Video", "vivid-000-vid-cap"]);
        assert_eq!((found[0].index, &found[1].path), (1, &root.device("video10")));
    }
}
