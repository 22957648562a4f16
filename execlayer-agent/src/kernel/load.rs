//! Load: the embedded object into the running kernel, every program attached, in the order of
//! [`hooks::PROGRAMS`]. Owns nothing afterwards: what keeps the gate up is in [`Live`] or pinned.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Map, MapData, RingBuf},
    programs::{BtfTracePoint, Iter, Lsm, Program, ProgramError, links::FdLink},
};
use sha2::{Digest as _, Sha256};

use execlayer_common::{
    hooks::{self, Attach},
    limits,
    question::daemon,
};

use super::{
    Features, Holding, Live, Ring,
    diagnostics::{self, Diagnostics},
    holding::Hold as _,
    offsets,
    pins::{Pins, PinsError, Shape},
    sys::RawMap,
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/gate.o"));
/// Scratch buffers for each CPU: as many tasks can be preempted within a judgement.
const SCRATCH_PER_CPU: u32 = 16;
/// Lines of the verifier's log that are printed.
const LOG_TAIL: usize = 25;

/// Why the gate is not up.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to load.
    #[error("built without the kernel programs")]
    NoObject,
    /// The object is not what this daemon expects.
    #[error("the kernel object is not for this daemon: {0}")]
    Object(String),
    /// A hook is missing in this kernel: exit code of its own.
    #[error("kernel {release} has no hook `{hook}` for program `{program}`")]
    Hook {
        /// The program.
        program: &'static str,
        /// The hook.
        hook: &'static str,
        /// The running kernel.
        release: String,
    },
    /// The kernel refused the maps.
    #[error("the kernel refused the maps: {0}")]
    Maps(String),
    /// The verifier refused a program.
    #[error("the kernel refused program `{program}`: {source}\n{summary}")]
    Verifier {
        /// The program.
        program: &'static str,
        /// What the kernel said.
        source: io::Error,
        /// The end of the log, and where the whole of it is.
        summary: String,
    },
    /// A program could not be attached.
    #[error("cannot attach program `{program}`: {message}")]
    Attach {
        /// The program.
        program: &'static str,
        /// What went wrong.
        message: String,
    },
    /// The pins.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// A descriptor.
    #[error("cannot keep the gate's descriptors")]
    Descriptor(#[from] io::Error),
}

impl LoadError {
    /// What to change, if that can be said.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::NoObject => "build with cargo xtask build".to_owned(),
            Self::Object(_) => {
                "build daemon and kernel programs together: cargo xtask build".into()
            }
            Self::Hook { .. } => {
                format!(
                    "boot a kernel of a supported series ({} or later)",
                    super::features::oldest()
                )
            }
            Self::Pins(PinsError::OtherLayout { .. }) => {
                "stop the daemon that made it, or remove it if nothing is to be governed: \
                 governed tasks are free from then on"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

/// A gate that is up.
#[derive(Debug)]
pub struct Loaded {
    /// Its maps.
    pub gate: Live,
    /// Its records.
    pub ring: Ring,
}

/// Loads and attaches everything. With `pins` the gate outlives the daemon, and one that is pinned
/// already is taken over with its labels and policies. `logs` is where a verifier log goes.
///
/// # Errors
///
/// A [`LoadError`]; nothing new stays attached.
pub fn load(features: &Features, pins: Option<&Pins>, logs: &Path) -> Result<Loaded, LoadError> {
    let Some(pins) = pins else { return load_into(features, None, logs) };
    let was_there = pins.exist();
    let loaded = load_into(features, Some(pins), logs);
    if loaded.is_err()
        && !was_there
        && let Err(error) = pins.remove_all()
    {
        tracing::error!("cannot remove what was pinned: {error}");
    }
    loaded
}

fn load_into(features: &Features, pins: Option<&Pins>, logs: &Path) -> Result<Loaded, LoadError> {
    if OBJECT.is_empty() {
        return Err(LoadError::NoObject);
    }
    let shapes = shapes()?;
    let mut scratch = scratch_entries();
    let mut loader = EbpfLoader::new();
    if let Some(pins) = pins {
        pins.prepare()?;
        let mut expected = shapes.clone();
        if let Some(shape) = expected.get_mut(hooks::MAP_SCRATCH) {
            shape.max_entries = scratch;
        }
        pins.check(&expected)?;
        scratch = pins.scratch_entries().unwrap_or(scratch);
        for name in shapes.keys() {
            loader.map_pin_path(name.as_str(), pins.map(name));
        }
    }
    let mask = scratch - 1;
    let object = offsets::write(OBJECT, &features.offsets).map_err(LoadError::Object)?;
    let btf = Btf::from_sys_fs().map_err(|error| LoadError::Object(error.to_string()))?;
    let mut ebpf = loader
        .btf(Some(&btf))
        .override_global(hooks::BACKING_PATH, &features.backing_path, true)
        .override_global(hooks::MOUNTS_POINT, &features.mounts_point, true)
        .override_global(hooks::IS_ARM64, &u32::from(cfg!(target_arch = "aarch64")), true)
        .override_global(hooks::SCRATCH_MASK, &mask, true)
        .map_max_entries(hooks::MAP_SCRATCH, scratch)
        .allow_unsupported_maps()
        .load(object.bytes())
        .map_err(|error| LoadError::Maps(chain(&error)))?;

    let mark = mark(object.bytes(), mask, features);
    let stays = match pins {
        Some(pins) => is_pinned(pins, mark)?,
        None => false,
    };
    if stays {
        tracing::info!("the gate that is pinned is this daemon's own: it stays as it is");
    }
    let mut links = Vec::new();
    let mut adopt = None;
    let mut attached = Vec::new();
    for (name, attach) in hooks::PROGRAMS {
        tracing::debug!("loading program `{name}`");
        let mut keep = |ebpf: &mut Ebpf, link| -> Result<(), LoadError> {
            attached.push(*name);
            match pins {
                Some(pins) => {
                    pin_program(ebpf, name, pins)?;
                    pins.replace_link(name, link)?;
                }
                None => links.push(link),
            }
            Ok(())
        };
        match attach {
            Attach::TaskIterator => {
                adopt = Some(load_iterator(&mut ebpf, name, &btf, features, logs)?);
                attached.push(*name);
            }
            _stands if stays => {
                if pins.is_some_and(|pins| pins.has_link(name)) {
                    attached.push(*name);
                }
            }
            Attach::LsmWith(_hook, count) if features.setattr_arguments != *count => {}
            Attach::Lsm(hook) | Attach::LsmFrom(hook, _) | Attach::LsmWith(hook, _) => {
                match attach_lsm(&mut ebpf, name, hook, &btf, features, logs) {
                    Err(LoadError::Hook { .. }) if may_be_missing(attach, features) => {
                        tracing::debug!("this kernel has no hook `{hook}`");
                    }
                    link => keep(&mut ebpf, link?)?,
                }
            }
            Attach::Tracepoint(tracepoint) => {
                let link = attach_tracepoint(&mut ebpf, name, tracepoint, &btf, features, logs)?;
                keep(&mut ebpf, link)?;
            }
        }
    }
    let adopt = adopt.ok_or_else(|| LoadError::Object("it has no task iterator".to_owned()))?;
    let ring = RingBuf::try_from(take(&mut ebpf, hooks::MAP_EVENTS)?)
        .map_err(|error| LoadError::Maps(chain(&error)))?;
    let [tables_0, tables_1, tables_2, tables_3] = hooks::MAP_TABLES;
    let mut gate = Live {
        tasks: [raw(&mut ebpf, hooks::MAP_TASKS)?, raw(&mut ebpf, hooks::MAP_LATE)?],
        scopes: raw(&mut ebpf, hooks::MAP_SCOPES)?,
        selectors: raw(&mut ebpf, hooks::MAP_SELECTORS)?,
        leading: raw(&mut ebpf, hooks::MAP_LEADING)?,
        passages: raw(&mut ebpf, hooks::MAP_PASSAGES)?,
        slots: raw(&mut ebpf, hooks::MAP_SLOTS)?,
        tables: [
            raw(&mut ebpf, tables_0)?,
            raw(&mut ebpf, tables_1)?,
            raw(&mut ebpf, tables_2)?,
            raw(&mut ebpf, tables_3)?,
        ],
        budgets: raw(&mut ebpf, hooks::MAP_BUDGETS)?,
        counts: raw(&mut ebpf, hooks::MAP_COUNTS)?,
        clock: raw(&mut ebpf, hooks::MAP_CLOCK)?,
        holding: Holding {
            labels: raw(&mut ebpf, hooks::MAP_LABELS)?,
            questions: raw(&mut ebpf, hooks::MAP_QUESTIONS)?,
            grants: raw(&mut ebpf, hooks::MAP_GRANTS)?,
            measure: raw(&mut ebpf, hooks::MAP_MEASURE)?,
            daemon: raw(&mut ebpf, hooks::MAP_DAEMON)?,
        },
        adopt,
        attached,
        links,
    };
    set_hash_key(&mut gate.holding)?;
    if let Some(pins) = pins {
        // Last: until here both stand.
        pins.keep_links(&gate.attached)?;
        gate.holding.tell(daemon::LINKS, pins.links()?)?;
        gate.holding.tell(daemon::OBJECT, mark)?;
    }
    let diagnostics = Diagnostics::of(&mut ebpf);
    Ok(Loaded { gate, ring: Ring::new(ring, diagnostics)? })
}

/// A number for what is loaded: the same programs with the same facts about the kernel. Never 0.
fn mark(object: &[u8], scratch_mask: u32, features: &Features) -> u64 {
    let mut hash = Sha256::new();
    hash.update(object);
    for fact in [scratch_mask, features.backing_path, features.mounts_point] {
        hash.update(fact.to_le_bytes());
    }
    hash.update(features.setattr_arguments.to_le_bytes());
    hash.update(features.release.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hash.finalize());
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) | 1
}

/// Whether just that is pinned and whole. If something else is, it is not whole any more from now on.
fn is_pinned(pins: &Pins, mark: u64) -> Result<bool, LoadError> {
    if !pins.exist() {
        return Ok(false);
    }
    // Links without maps are nobody's: the loader makes new ones.
    let Ok(mut holding) = pins.holding() else { return Ok(false) };
    let is_same = holding.told(daemon::OBJECT)? == mark;
    if is_same && holding.told(daemon::LINKS)? == pins.links()? {
        return Ok(true);
    }
    holding.tell(daemon::OBJECT, 0)?;
    Ok(false)
}

/// Whether the running kernel may be without the hook: then it does not have what is asked about there.
fn may_be_missing(attach: &Attach, features: &Features) -> bool {
    matches!(attach, Attach::LsmFrom(_, series) if features.series < *series)
}

fn attach_lsm(
    ebpf: &mut Ebpf,
    name: &'static str,
    hook: &'static str,
    btf: &Btf,
    features: &Features,
    logs: &Path,
) -> Result<FdLink, LoadError> {
    let program: &mut Lsm = program(ebpf, name)?;
    program.load(hook, btf).map_err(|error| refused(name, hook, error, features, logs))?;
    let failed = |error: ProgramError| LoadError::Attach { program: name, message: chain(&error) };
    let id = program.attach().map_err(failed)?;
    Ok(program.take_link(id).map_err(failed)?.into())
}

fn attach_tracepoint(
    ebpf: &mut Ebpf,
    name: &'static str,
    tracepoint: &'static str,
    btf: &Btf,
    features: &Features,
    logs: &Path,
) -> Result<FdLink, LoadError> {
    let program: &mut BtfTracePoint = program(ebpf, name)?;
    let refused = |error| refused(name, tracepoint, error, features, logs);
    program.load(tracepoint, btf).map_err(refused)?;
    let failed = |error: ProgramError| LoadError::Attach { program: name, message: chain(&error) };
    let id = program.attach().map_err(failed)?;
    Ok(program.take_link(id).map_err(failed)?.into())
}

fn load_iterator(
    ebpf: &mut Ebpf,
    name: &'static str,
    btf: &Btf,
    features: &Features,
    logs: &Path,
) -> Result<OwnedFd, LoadError> {
    let program: &mut Iter = program(ebpf, name)?;
    program.load("task", btf).map_err(|error| refused(name, "task", error, features, logs))?;
    let failed = |error: ProgramError| LoadError::Attach { program: name, message: chain(&error) };
    Ok(program.fd().map_err(failed)?.as_fd().try_clone_to_owned()?)
}

fn pin_program(ebpf: &mut Ebpf, name: &'static str, pins: &Pins) -> Result<(), LoadError> {
    pins.forget_program(name)?;
    any_program(ebpf, name)?
        .pin(pins.program(name))
        .map_err(|error| LoadError::Attach { program: name, message: chain(&error) })
}

fn any_program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program, LoadError> {
    ebpf.program_mut(name).ok_or_else(|| LoadError::Object(format!("it has no program `{name}`")))
}

fn program<'a, P>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut Program>,
{
    any_program(ebpf, name)?
        .try_into()
        .map_err(|_other_type| LoadError::Object(format!("program `{name}` is of another type")))
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| LoadError::Object(format!("it has no map `{name}`")))
}

fn raw(ebpf: &mut Ebpf, name: &str) -> Result<RawMap, LoadError> {
    let map: MapData = match take(ebpf, name)? {
        Map::Array(map) | Map::ArrayOfMaps(map) | Map::HashMap(map) | Map::Unsupported(map) => map,
        _ => return Err(LoadError::Object(format!("map `{name}` is of another type"))),
    };
    let info = map.info().map_err(|error| LoadError::Maps(chain(&error)))?;
    let fd = map.fd().as_fd().try_clone_to_owned()?;
    Ok(RawMap::new(fd, info.key_size(), info.value_size()))
}

/// The object's maps by name, without the sections that hold variables and without diagnostics.
fn shapes() -> Result<BTreeMap<String, Shape>, LoadError> {
    let object =
        aya_obj::Object::parse(OBJECT).map_err(|error| LoadError::Object(chain(&error)))?;
    let shapes = object
        .maps
        .iter()
        .filter(|(name, _map)| !name.starts_with('.') && name.as_str() != diagnostics::MAP);
    Ok(shapes
        .map(|(name, map)| {
            let shape = Shape {
                map_type: map.map_type(),
                key_size: map.key_size(),
                value_size: map.value_size(),
                max_entries: map.max_entries(),
                flags: map.map_flags(),
            };
            (name.clone(), shape)
        })
        .collect())
}

/// Sets the key of the subjects' hash, if there is none: what is pinned keeps its own.
fn set_hash_key(holding: &mut Holding) -> io::Result<()> {
    for index in [daemon::HASH_KEY, daemon::HASH_KEY + 1] {
        while holding.told(index)? == 0 {
            let mut bytes = [0; 8];
            fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            holding.tell(index, u64::from_ne_bytes(bytes))?;
        }
    }
    Ok(())
}

fn scratch_entries() -> u32 {
    let cpus = aya::util::nr_cpus().ok().and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(1);
    let wanted = cpus.saturating_mul(SCRATCH_PER_CPU).min(limits::SCRATCH_SLOTS);
    wanted.next_power_of_two().min(limits::SCRATCH_SLOTS)
}

fn refused(
    program: &'static str,
    hook: &'static str,
    error: ProgramError,
    features: &Features,
    logs: &Path,
) -> LoadError {
    match error {
        ProgramError::Btf(aya::BtfError::UnknownBtfTypeName { .. }) => {
            LoadError::Hook { program, hook, release: features.release.clone() }
        }
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            let path = logs.join(format!("verifier-{program}.log"));
            LoadError::Verifier { program, source: io_error, summary: summary(&log, &path) }
        }
        other => LoadError::Attach { program, message: chain(&other) },
    }
}

fn summary(log: &str, path: &PathBuf) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(LOG_TAIL)..).unwrap_or_default().join("\n");
    match fs::write(path, log) {
        Ok(()) => format!("{tail}\n(the verifier's whole log is in `{}`)", path.display()),
        Err(error) => format!("{tail}\n(cannot write the log to `{}`: {error})", path.display()),
    }
}

/// The message and those of its causes: aya's own messages leave the cause out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}
