//! The target `evaluation`: its body and its seeds are in the library.
#![cfg_attr(fuzzing, no_main)]

execlayer_fuzz::target!(evaluation);
