//! Claims about finding, reading and writing files.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["team/agent", "team/base", "shared"] {
        let at = folder.path().join(name);
        fs::create_dir_all(&at).unwrap();
        fs::write(at.join("policy.toml"), name).unwrap();
    }
    fs::write(folder.path().join("single.toml"), "single").unwrap();
    folder
}

fn load(files: &mut PolicyFiles, name: &str) -> Result<String, LoadError> {
    files.load(name).map(|loaded| String::from_utf8(loaded.bytes).unwrap())
}

#[test]
fn a_policy_is_a_file_a_folder_or_a_name() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for policy in [at("team/agent"), at("team/agent/policy.toml")] {
        let mut files = PolicyFiles::find(&policy, None).unwrap();
        assert_eq!(load(&mut files, "x").as_deref(), Ok("team/agent"));
    }
    for name in ["team/agent", "single"] {
        let mut files = PolicyFiles::find(name, Some(folder.path())).unwrap();
        assert_eq!(load(&mut files, "x").as_deref(), Ok(name));
    }
    let error = PolicyFiles::find("nowhere", Some(folder.path())).unwrap_err();
    assert_eq!(error.exit, Exit::Policy);
}

#[test]
fn what_is_extended_is_found_beside_the_policy_and_one_level_up() {
    let folder = folder();
    let policy = folder.path().join("team/agent").display().to_string();
    let mut files = PolicyFiles::find(&policy, None).unwrap();
    assert_eq!(load(&mut files, "x").as_deref(), Ok("team/agent"));
    assert_eq!(load(&mut files, "base").as_deref(), Ok("team/base"));
    assert_eq!(load(&mut files, "team/base").as_deref(), Ok("team/base"));
    assert_eq!(load(&mut files, "shared").as_deref(), Ok("shared"));
    assert_eq!(load(&mut files, "single").as_deref(), Ok("single"));
    assert!(matches!(load(&mut files, "none"), Err(LoadError::Missing(_))));
}

#[test]
fn a_name_cannot_leave_the_folder_of_policies() {
    let folder = folder();
    let inner = folder.path().join("team");
    let name = inner.display().to_string();
    for name in ["../shared", "/etc/passwd", "agent/../../shared", ".", ""] {
        assert_eq!(named_in(&inner, name), None, "{name:?}");
    }
    assert!(named_in(folder.path(), "team/agent").is_some(), "{name}");
}

#[test]
fn one_file_has_one_name_however_it_is_reached() {
    let folder = folder();
    std::os::unix::fs::symlink(folder.path().join("shared"), folder.path().join("alias")).unwrap();
    let policy = folder.path().join("team/agent").display().to_string();
    let mut files = PolicyFiles::find(&policy, None).unwrap();
    files.load("x").unwrap();
    let first = files.load("shared").unwrap().name;
    assert_eq!(files.load("alias").unwrap().name, first);
}

#[test]
fn pipes_folders_and_files_that_are_too_long_are_not_read() {
    let folder = folder();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(read(&pipe, 10), Err(ReadError::Io(_))));
    assert!(matches!(read(folder.path(), 10), Err(ReadError::Io(_))));
    let file = folder.path().join("single.toml");
    assert_eq!(read(&file, 6).unwrap(), b"single");
    assert!(matches!(read(&file, 5), Err(ReadError::TooLarge(6))));
}

#[test]
fn a_file_is_written_as_a_whole_and_once_means_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    assert!(write_once(&path, b"first", 0o600).unwrap());
    assert!(!write_once(&path, b"second", 0o600).unwrap());
    assert_eq!(fs::read(&path).unwrap(), b"first");
    write_whole(&path, b"third", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"third");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
}
