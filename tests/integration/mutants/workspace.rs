//! The scratch workspace: copies of sources with one fault each, and the checker around them. Must not
//! change anything outside of `target`.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::faults::Fault;

/// Modules of the harness that the checker has too; they need nothing but the policy crate.
const HARNESS: [&str; 10] = [
    "compare",
    "corpus",
    "examine",
    "generate",
    "mutate",
    "prepare",
    "random",
    "reference",
    "subject",
    "user",
];
/// Corpus files that are about size; they would take most of the time.
const LEFT_OUT: &str = "many.toml";

pub(crate) struct Workspace {
    folder: PathBuf,
}

fn repository() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

fn folder() -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    target.join("mutants")
}

/// The corpus of the checker.
pub(crate) fn corpus() -> PathBuf {
    folder().join("corpus")
}

impl Workspace {
    pub(crate) fn make(faults: &[Fault]) -> Result<Self> {
        let folder = folder();
        for part in ["policy", "checker/src", "corpus"] {
            let _ = fs::remove_dir_all(folder.join(part));
            fs::create_dir_all(folder.join(part))?;
        }
        for entry in fs::read_dir(repository().join("tests/corpus"))? {
            let entry = entry?;
            if entry.file_name() != LEFT_OUT {
                fs::copy(entry.path(), corpus().join(entry.file_name()))?;
            }
        }
        let workspace = Self { folder };
        workspace.manifests()?;
        workspace.policy(faults)?;
        workspace.checker(faults)?;
        Ok(workspace)
    }

    /// The real workspace's manifest, with other members.
    fn manifests(&self) -> Result<()> {
        let text = fs::read_to_string(repository().join("Cargo.toml"))?;
        let mut root: toml::Table = toml::from_str(&text)?;
        let workspace = table(&mut root, "workspace")?;
        workspace.remove("default-members");
        let members = ["policy", "checker"].map(|name| toml::Value::String(name.to_owned()));
        workspace.insert("members".to_owned(), toml::Value::Array(members.to_vec()));
        let dependencies = table(workspace, "dependencies")?;
        dependencies.retain(|_, value| value.get("path").is_none());
        let common = repository().join("execlayer-common");
        let engine = repository().join("execlayer-engine");
        let paths = [
            ("execlayer-common", common),
            ("execlayer-engine", engine),
            ("execlayer-policy", "policy".into()),
        ];
        for (name, path) in paths {
            let path = toml::Value::String(path.display().to_string());
            let entry = toml::Table::from_iter([("path".to_owned(), path)]);
            dependencies.insert(name.to_owned(), toml::Value::Table(entry));
        }
        root.remove("profile");
        let profile = "\n[profile.dev]\ndebug = false\n";
        fs::write(self.folder.join("Cargo.toml"), toml::to_string(&root)? + profile)?;
        fs::copy(repository().join("Cargo.lock"), self.folder.join("Cargo.lock"))?;
        Ok(())
    }

    /// A copy of the policy crate, with a copy of its lowering for each fault in that.
    fn policy(&self, faults: &[Fault]) -> Result<()> {
        let (from, to) = (repository().join("execlayer-policy"), self.folder.join("policy"));
        copy(&from, &to)?;
        let mut modules = String::new();
        for (number, fault) in numbered(faults).filter(|(_, fault)| is_lowering(fault)) {
            let module = to.join("src").join(format!("m{number}"));
            copy(&from.join("src/lower"), &module.join("lower"))?;
            break_it(&module.join(fault.file), fault)?;
            let _ = writeln!(modules, "#[allow(warnings)] pub mod m{number} {{ pub mod lower; }}");
        }
        let lib = to.join("src/lib.rs");
        let text = fs::read_to_string(&lib)?;
        Ok(fs::write(&lib, text + &modules)?)
    }

    fn checker(&self, faults: &[Fault]) -> Result<()> {
        let checker = self.folder.join("checker");
        let manifest = "[package]\nname = \"checker\"\nversion = \"0.0.0\"\nedition.workspace = true\n\
                        [dependencies]\nanyhow.workspace = true\nexeclayer-common.workspace = true\n\
                        execlayer-engine.workspace = true\n\
                        execlayer-policy.workspace = true\n\
                        serde = { workspace = true, features = [\"std\"] }\n\
                        toml = { workspace = true, features = [\"display\", \"serde\"] }\n";
        fs::write(checker.join("Cargo.toml"), manifest)?;
        let harness = repository().join("tests/harness");
        let mut main = "#![allow(warnings)]\n".to_owned();
        for module in HARNESS {
            let path = harness.join(module).with_extension("rs");
            let _ = writeln!(main, "#[path = {path:?}]\nmod {module};");
        }
        let mut arms = String::new();
        for (number, fault) in numbered(faults) {
            if is_lowering(fault) {
                let _ = writeln!(
                    arms,
                    "{number} => (Box::new(|| Box::new(user::UserImage::default())), \
                     Box::new(|policy| Ok(execlayer_policy::m{number}::lower::lower(policy)\
                     .map_err(|error| anyhow::anyhow!(\"{{error}}\"))?.image.words().to_vec()))),"
                );
                continue;
            }
            let module = format!("m{number}");
            self.decision(&module, fault)?;
            let _ = writeln!(
                main,
                "mod {module} {{ pub use execlayer_common::*; pub mod automaton; pub mod decide; \
                 pub mod image_world; pub mod user; }}"
            );
            let _ = writeln!(
                arms,
                "{number} => (Box::new(|| Box::new({module}::user::UserImage::default())), \
                 Box::new(original)),"
            );
        }
        let _ = write!(main, "{MAIN}",);
        let main = main.replace("/*arms*/", &arms);
        Ok(fs::write(checker.join("src/main.rs"), main)?)
    }

    /// Copies of the decision, the automaton and what runs them, under one module of the checker.
    fn decision(&self, module: &str, fault: &Fault) -> Result<()> {
        let to = self.folder.join("checker/src").join(module);
        fs::create_dir_all(&to)?;
        let common = repository().join("execlayer-common/src");
        for file in ["automaton.rs", "decide.rs"] {
            let text = fs::read_to_string(common.join(file))?;
            fs::write(to.join(file), text)?;
        }
        break_it(&to.join(fault.file), fault)?;
        for file in ["automaton.rs", "decide.rs"] {
            let text = fs::read_to_string(to.join(file))?;
            fs::write(to.join(file), text.replace("crate::", &format!("crate::{module}::")))?;
        }
        let copies = format!("use crate::{module}::");
        // What runs the decision has to run the copy, and not the original.
        let world = fs::read_to_string(repository().join("execlayer-policy/src/image_world.rs"))?;
        let world = world.replace("use crate::", "use execlayer_policy::");
        fs::write(to.join("image_world.rs"), world.replace("use execlayer_common::", &copies))?;
        let user = fs::read_to_string(repository().join("tests/harness/user.rs"))?;
        let user =
            user.replace("use execlayer_policy::image_world", &format!("{copies}image_world"));
        Ok(fs::write(to.join("user.rs"), user.replace("use execlayer_common::", &copies))?)
    }

    /// Builds the checker, and says where it is.
    pub(crate) fn build(&self) -> Result<PathBuf> {
        let target = self.folder.join("target");
        let output = Command::new(env!("CARGO"))
            .current_dir(&self.folder)
            .args(["build", "--offline", "--package", "checker", "--target-dir"])
            .arg(&target)
            .env_remove("RUSTFLAGS")
            .output()
            .context("cannot start cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the checker does not build:\n{said}");
        Ok(target.join("debug/checker"))
    }
}

const MAIN: &str = r#"
type Make = Box<dyn Fn() -> Box<dyn subject::Subject>>;
type Lower = Box<dyn Fn(&execlayer_policy::CheckedPolicy) -> anyhow::Result<Vec<u32>>>;

fn original(policy: &execlayer_policy::CheckedPolicy) -> anyhow::Result<Vec<u32>> {
    let lowered = execlayer_policy::lower::lower(policy);
    Ok(lowered.map_err(|error| anyhow::anyhow!("{error}"))?.image.words().to_vec())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let suites = corpus::load(std::path::Path::new(&arguments[2])).unwrap();
    let number: usize = arguments[1].parse().unwrap();
    let (make, lower): (Make, Lower) = match number {
        /*arms*/
        _ => (Box::new(|| Box::new(user::UserImage::default())), Box::new(original)),
    };
    if let Err(error) = examine::examine(&*make, &*lower, &suites) {
        println!("{}", format!("{error:#}").replace('\n', " "));
        std::process::exit(1);
    }
}
"#;

fn numbered(faults: &[Fault]) -> impl Iterator<Item = (usize, &Fault)> {
    (1..).zip(faults)
}

fn is_lowering(fault: &Fault) -> bool {
    fault.file.starts_with("lower/")
}

/// Puts the fault into a file, where its place must be found exactly once.
fn break_it(path: &Path, fault: &Fault) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("no {}", path.display()))?;
    let found = text.matches(fault.from).count();
    ensure!(
        found == 1,
        "`{}` stands {found} times in `{}`; the fault `{}` needs a new place",
        fault.from,
        fault.file,
        fault.what
    );
    Ok(fs::write(path, text.replace(fault.from, fault.to))?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("no {}", from.display()))? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn table<'t>(table: &'t mut toml::Table, key: &str) -> Result<&'t mut toml::Table> {
    let found = table.get_mut(key).and_then(toml::Value::as_table_mut);
    found.with_context(|| format!("the manifest has no `{key}`"))
}
