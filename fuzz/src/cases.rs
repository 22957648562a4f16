//! Files of a policy's cases: what is wrong is said at its place, and cases that are right can be judged.

use execlayer_policy::{
    cases::{parse_cases, run},
    check::{Options, check},
    source::Loaded,
};
use std::collections::BTreeMap;

use crate::{policy::findings, seeds};

pub(crate) fn body(bytes: &[u8]) {
    let file = parse_cases(Loaded { name: "cases.toml".to_owned(), bytes: bytes.to_vec() });
    findings(&file.diagnostics, &file.sources);
    assert!(!file.cases.is_empty() || !file.diagnostics.is_empty(), "nothing, and nothing wrong");
    let text = "name = \"a\"\nversion = 1\n[agent]\nname = \"b\"\n[[rule]]\nid = \"r\"\n\
                allow = [\"read\", \"exec\"]\npath = \"/**\"\n";
    let mut files = BTreeMap::from([("a".to_owned(), text.to_owned())]);
    let policy = check("a", &mut files, &Options::default()).policy.unwrap();
    let _ = run(&policy, &file);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let own = "policy = \"name = 'a'\"\n[[case]]\nname = \"n\"\ndo = \"connect tcp:[::1]:80\"\n\
               expect = \"deny\"\nuid = 7\ntime = \"12:30\"\nspent = [\"r\"]\n\
               [[case]]\nname = \"o\"\ndo = \"use io-uring\"\nexpect = \"allow\"\nrule = \"r\"\n";
    let mut all = vec![own.as_bytes().to_vec()];
    for name in ["coding-agent", "baseline/linux-dev"] {
        let text = seeds::file(&format!("policies/{name}/cases.toml"));
        let cases: Vec<&str> = text.split("[[case]]").skip(1).collect();
        let part = |part: &[&str]| part.iter().map(|case| format!("[[case]]{case}")).collect();
        all.extend(cases.chunks(8).step_by(2).map(part).map(String::into_bytes));
    }
    all
}
