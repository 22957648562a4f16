//! Nothing lies here that is not run.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_file_of_this_folder_is_a_module_that_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    let declared: BTreeSet<String> = main
        .lines()
        .filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned()))
        .collect();
    let present: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_module = path.is_dir() || path.extension().is_some_and(|end| end == "rs");
            (is_module && name != "main").then_some(name)
        })
        .collect();
    assert_eq!(declared, present, "left: declared in main.rs, right: in the folder");
}
