//! Installation against the gate in memory: after every failure the old policy must still judge.

use execlayer_common::image::{
    FLAG_SELECTS_CGROUP, FLAG_SELECTS_EXE, FORMAT, H_FLAGS, H_FORMAT, H_GENERATION, H_MAGIC,
    H_WORDS, HEADER_WORDS, ImageError, MAGIC,
};

use super::{Generation, InstallError, Layout, install, uninstall};
use crate::kernel::{Gate, fake::Fake};

fn image(words: usize, flags: u32) -> Vec<u32> {
    let mut image = vec![0; words.max(HEADER_WORDS as usize)];
    image[H_MAGIC as usize] = MAGIC;
    image[H_FORMAT as usize] = FORMAT;
    image[H_WORDS as usize] = image.len() as u32;
    image[H_FLAGS as usize] = flags;
    image
}

fn put(gate: &mut Fake, layout: &mut Layout, profile: u32, words: usize) -> Generation {
    install(gate, layout, profile, image(words, 0)).unwrap()
}

#[test]
fn the_slot_points_to_a_table_that_carries_its_generation() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    let generation = put(&mut gate, &mut layout, 3, 100);
    assert_eq!((generation.profile(), generation.number()), (3, 1));
    assert_eq!((generation.image_bytes(), generation.table_bytes()), (400, 65_536));
    assert_eq!(gate.image(3).unwrap()[H_GENERATION as usize], 1);
    assert_eq!(gate.budgets.get(&3), Some(&0));
}

#[test]
fn a_second_install_takes_another_table_and_frees_the_first() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    put(&mut gate, &mut layout, 1, 100);
    let second = put(&mut gate, &mut layout, 1, 20_000);
    assert_eq!(second.table_bytes(), 1 << 18, "the next size class");
    assert_eq!(gate.tables.len(), 1);
    assert_eq!(gate.image(1).unwrap().len(), 20_000);
    let third = put(&mut gate, &mut layout, 1, 100);
    assert_eq!(third.number(), 3);
    assert_eq!(gate.tables.keys().collect::<Vec<_>>(), [&(0, 0)]);
}

#[test]
fn two_profiles_never_share_a_table_or_a_generation() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    let first = put(&mut gate, &mut layout, 1, 100);
    let second = put(&mut gate, &mut layout, 2, 100);
    assert_ne!(first.number(), second.number());
    assert_eq!(gate.tables.len(), 2);
}

#[test]
fn selector_bits_follow_the_image_and_every_change_has_a_new_epoch() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    let both = FLAG_SELECTS_CGROUP | FLAG_SELECTS_EXE;
    install(&mut gate, &mut layout, 64, image(100, both)).unwrap();
    assert_eq!(gate.selectors, [1 << 63, 1 << 63, 1]);
    install(&mut gate, &mut layout, 1, image(100, FLAG_SELECTS_EXE)).unwrap();
    assert_eq!(gate.selectors, [1 << 63, 1 << 63 | 1, 2]);
    install(&mut gate, &mut layout, 64, image(100, 0)).unwrap();
    assert_eq!(gate.selectors, [0, 1, 3]);
    uninstall(&mut gate, &mut layout, 1).unwrap();
    assert_eq!(gate.selectors, [0, 0, 4]);
    assert!(gate.image(1).is_none());
}

#[test]
fn a_failure_at_any_step_leaves_the_old_policy_in_force_and_no_table_behind() {
    for failing in ["put_table", "zero_budgets", "set_slot", "set_selectors_once"] {
        let (mut gate, mut layout) = (Fake::default(), Layout::default());
        install(&mut gate, &mut layout, 1, image(100, FLAG_SELECTS_EXE)).unwrap();
        let before = gate.clone();
        gate.failing.insert(failing);
        let error = install(&mut gate, &mut layout, 1, image(200, 0)).unwrap_err();
        assert!(matches!(error, InstallError::Step { .. }), "{failing}: {error}");
        assert_eq!(gate.image(1), before.image(1), "{failing}");
        assert_eq!(gate.selectors[..2], before.selectors[..2], "{failing}");
        assert_eq!(gate.tables, before.tables, "{failing}");
        gate.failing.clear();
        let next = put(&mut gate, &mut layout, 1, 200);
        assert_eq!(gate.image(1).unwrap().len(), 200, "{failing}");
        assert!(next.number() > 1, "{failing}");
    }
}

#[test]
fn a_failure_that_cannot_be_taken_back_says_so() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    put(&mut gate, &mut layout, 1, 100);
    gate.failing.insert("set_selectors");
    let error = install(&mut gate, &mut layout, 1, image(100, 0)).unwrap_err();
    assert!(matches!(error, InstallError::Torn { .. }), "{error}");
}

#[test]
fn a_table_that_cannot_be_freed_is_not_used_again() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    put(&mut gate, &mut layout, 1, 100);
    gate.failing.insert("drop_table");
    put(&mut gate, &mut layout, 1, 100);
    gate.failing.clear();
    put(&mut gate, &mut layout, 1, 100);
    assert_eq!(gate.tables.keys().collect::<Vec<_>>(), [&(0, 0), &(0, 2)]);
}

#[test]
fn what_the_slots_say_is_used_after_a_restart() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    put(&mut gate, &mut layout, 1, 100);
    put(&mut gate, &mut layout, 2, 100);
    let mut layout = Layout::read(&gate).unwrap();
    let next = put(&mut gate, &mut layout, 3, 100);
    assert_eq!(next.number(), 3);
    assert_eq!(gate.tables.len(), 3);
}

#[test]
fn every_profile_can_hold_two_tables_of_one_class_and_no_more_are_given_out() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    gate.failing.insert("drop_table");
    for _ in 0..128 {
        put(&mut gate, &mut layout, 1, 100);
    }
    let error = install(&mut gate, &mut layout, 1, image(100, 0)).unwrap_err();
    assert!(matches!(error, InstallError::NoTable(0)), "{error}");
    assert!(gate.image(1).is_some());
}

#[test]
fn bytes_that_are_no_image_are_refused_before_anything_happens() {
    let (mut gate, mut layout) = (Fake::default(), Layout::default());
    let before = gate.clone();
    let error = install(&mut gate, &mut layout, 1, vec![0; 100]).unwrap_err();
    assert!(matches!(error, InstallError::Image(ImageError::Magic)));
    assert_eq!(gate, before);
    assert!(!gate.slot(1).unwrap().is_used());
}
