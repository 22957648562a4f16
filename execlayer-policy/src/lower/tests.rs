//! Claims about whole images: what they decide, that they are well formed, and what is refused.

use execlayer_common::{access::Access, access::Operation, image};

use super::{listing, lower, testing};
use crate::{
    evaluate::{Facts, evaluate},
    image_world::judge_image,
};

const FACTS: Facts = Facts { uid: 1000, minute: 600 };

#[test]
fn shipped_policy_is_judged_as_the_reference_judges_it() {
    let policy = testing::shipped("coding-agent");
    let lowered = lower(&policy).unwrap();
    println!("{:#?}", lowered.report);
    println!("{}", listing(lowered.image.words(), &lowered.provenance).unwrap());
    image::check_header(lowered.image.words()).unwrap();
    for subject in [
        "/usr/bin/git",
        "/workspace/a/b.rs",
        "/workspace/.git/hooks/x",
        "/home/u/.ssh/id_rsa",
        "/srv/x.pem",
        "/etc/ssl/cert.pem",
    ] {
        for wanted in [Access::READ, Access::WRITE] {
            let reference = evaluate(
                &policy,
                Operation::File,
                subject.as_bytes(),
                wanted,
                FACTS,
                &mut |_, _| true,
            );
            let found = judge_image(
                lowered.image.words(),
                Operation::File,
                subject.as_bytes(),
                wanted,
                FACTS,
                &mut |_, _, _| true,
            );
            assert_eq!(found, reference, "{subject}");
        }
    }
}
