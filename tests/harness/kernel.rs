//! The decision over an image in the kernel, as a subject: `BPF_PROG_TEST_RUN` of the program
//! `judge`, which wraps it for hosts that refuse LSM programs. Must not decide anything itself.

mod run;

use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ArrayOfMaps, MapData},
    programs::Xdp,
};
use execlayer_common::{
    access::Operation,
    event::NO_RULE,
    image::class_of,
    limits,
    reason::Reason,
    verdict::{RuleIndex, Verdict, raw},
};
use execlayer_policy::{cases::Act, evaluate::Facts};

use crate::{
    prepare::Prepared,
    subject::{Answer, Silence, Subject},
};

pub use run::Run;

/// Where the kernel object lies.
pub const OBJECT: &str = "EXECLAYER_JUDGE_OBJECT";
/// Set where a kernel that cannot be used is a failure and not a note.
pub const REQUIRED: &str = "EXECLAYER_REQUIRE_KERNEL";

/// Bytes before the subject in a frame.
const REQUEST: usize = 20;
/// KERNEL: a frame, its head room and its shared info fit into one page (`bpf_prog_test_run_xdp`).
const LONGEST: usize = 3_400;
const TABLES: [&str; 4] = ["JUDGE_TABLES_0", "JUDGE_TABLES_1", "JUDGE_TABLES_2", "JUDGE_TABLES_3"];
const RDONLY_PROG: u32 = 1 << 7;

type Inner<const WORDS: usize> = Array<MapData, [u32; WORDS]>;

/// Images of one class: the map that the program reads, and its copy here.
struct Class<const WORDS: usize> {
    table: Inner<WORDS>,
    words: Box<[u32; WORDS]>,
}

impl<const WORDS: usize> Class<WORDS> {
    fn new(bpf: &mut Ebpf, name: &str) -> Result<Self> {
        let table = Inner::<WORDS>::create(1, RDONLY_PROG)?;
        let map = bpf.map_mut(name).ok_or_else(|| anyhow!("the object has no map `{name}`"))?;
        let mut outer: ArrayOfMaps<_, Inner<WORDS>> = ArrayOfMaps::try_from(map)?;
        outer.set(0, &table, 0)?;
        let words = vec![0; WORDS].into_boxed_slice();
        let words =
            words.try_into().map_err(|_wrong_size| anyhow!("the class has another size"))?;
        Ok(Self { table, words })
    }

    fn fill(&mut self, words: &[u32]) -> Result<()> {
        self.words.fill(0);
        let room = self.words.get_mut(..words.len()).context("the image is too large")?;
        room.copy_from_slice(words);
        // By reference: the largest class does not fit on a stack.
        let words: &[u32; WORDS] = &self.words;
        Ok(self.table.set(0, words, 0)?)
    }
}

/// The loaded program.
pub struct KernelImage {
    bpf: Ebpf,
    classes: (
        Class<{ limits::CLASS_WORDS[0] as usize }>,
        Class<{ limits::CLASS_WORDS[1] as usize }>,
        Class<{ limits::CLASS_WORDS[2] as usize }>,
        Class<{ limits::CLASS_WORDS[3] as usize }>,
    ),
    answers: Array<MapData, [u32; 4]>,
    budgets: Array<MapData, u64>,
    /// Budgets of the policy in force.
    budget_count: u32,
    class: u32,
    frame: Vec<u8>,
    by_address: bool,
}

impl KernelImage {
    /// Loads the program; `None`, after saying why, where this host cannot run it.
    ///
    /// # Errors
    ///
    /// The kernel cannot be used and [`REQUIRED`] is set.
    pub fn load() -> Result<Option<Self>> {
        match Self::try_load() {
            Ok(kernel) => Ok(Some(kernel)),
            Err(error) if env::var_os(REQUIRED).is_some() => {
                Err(error.context(format!("the kernel must judge, `{REQUIRED}` is set")))
            }
            Err(error) => {
                println!("not run here: the kernel as a subject: {error:#}");
                Ok(None)
            }
        }
    }

    /// Loads the program.
    ///
    /// # Errors
    ///
    /// Why this host cannot run it.
    pub fn try_load() -> Result<Self> {
        let path = env::var_os(OBJECT)
            .ok_or_else(|| anyhow!("`{OBJECT}` does not name the kernel object"))?;
        let object =
            fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let mut bpf = EbpfLoader::new().load(&object).context("the object does not load")?;
        let program = bpf.program_mut("judge").context("the object has no program `judge`")?;
        let program: &mut Xdp = program.try_into()?;
        program.load().context("the kernel refuses the program")?;
        let [zero, one, two, three] = TABLES;
        let classes = (
            Class::new(&mut bpf, zero)?,
            Class::new(&mut bpf, one)?,
            Class::new(&mut bpf, two)?,
            Class::new(&mut bpf, three)?,
        );
        let answers = bpf.take_map("JUDGE_ANSWER").context("no map `JUDGE_ANSWER`")?;
        let budgets = bpf.take_map("JUDGE_BUDGETS").context("no map `JUDGE_BUDGETS`")?;
        Ok(Self {
            bpf,
            classes,
            answers: Array::try_from(answers)?,
            budgets: Array::try_from(budgets)?,
            budget_count: 0,
            class: 0,
            frame: Vec::new(),
            by_address: false,
        })
    }
}

impl KernelImage {
    /// The same, as most hooks of the gate do it: what matches is read by the address of the image.
    #[must_use]
    pub fn by_address(self) -> Self {
        Self { by_address: true, ..self }
    }
}

impl Subject for KernelImage {
    fn name(&self) -> &'static str {
        if self.by_address { "image in the kernel, by its address" } else { "image in the kernel" }
    }

    fn install(&mut self, prepared: &Prepared) -> Result<()> {
        let words = prepared.words();
        let class = u32::try_from(words.len()).ok().and_then(class_of).context("too large")?;
        match class {
            0 => self.classes.0.fill(words)?,
            1 => self.classes.1.fill(words)?,
            2 => self.classes.2.fill(words)?,
            _ => self.classes.3.fill(words)?,
        }
        self.class = u32::from(class);
        self.budget_count = prepared.budgets();
        self.refill()
    }

    fn refill(&mut self) -> Result<()> {
        for budget in 0..self.budget_count {
            self.budgets.set(budget, 0, 0)?;
        }
        Ok(())
    }

    fn judge(
        &mut self,
        _prepared: &Prepared,
        act: &Act,
        facts: Facts,
    ) -> Result<Result<Answer, Silence>> {
        if REQUEST + act.subject.len() > LONGEST {
            return Ok(Err(Silence::TooLong));
        }
        if act.operation == Operation::Call {
            return Ok(Err(Silence::NotKernels));
        }
        if self.by_address {
            let answer = self.run(act, facts, Run::ByAddress)?;
            return Ok(Ok(read(act.operation, answer)?));
        }
        let answer = self.run(act, facts, Run::Judge)?;
        let answer = read(act.operation, answer)?;
        // The gate asks the short way first: it must not allow what the long one does not.
        let at_once = self.allowed_at_once(act, facts)?;
        let allowed = matches!(answer, Answer::Verdict(Verdict::Allow(_)) | Answer::Selected(true));
        ensure!(!at_once || allowed, "allowed at once, and judged {answer:?}");
        Ok(Ok(answer))
    }
}

fn read(operation: Operation, [verdict, reason, rule, _unused]: [u32; 4]) -> Result<Answer> {
    let number = || -> Result<RuleIndex> {
        ensure!(rule != NO_RULE, "a verdict {verdict:#x} without a rule");
        Ok(RuleIndex(u16::try_from(rule)?))
    };
    let verdict = match u8::try_from(verdict)? {
        raw::ALLOW => Verdict::Allow(number()?),
        raw::ASK => Verdict::Ask(number()?),
        raw::DENY => {
            let known = u8::try_from(reason).ok().and_then(Reason::from_raw);
            let reason = known.ok_or_else(|| anyhow!("{reason} is no reason"))?;
            Verdict::Deny(reason, if rule == NO_RULE { None } else { Some(number()?) })
        }
        other => bail!("{other:#x} is no verdict"),
    };
    Ok(match operation {
        Operation::SelectCgroup | Operation::SelectExe => {
            Answer::Selected(matches!(verdict, Verdict::Allow(_)))
        }
        _ => Answer::Verdict(verdict),
    })
}
