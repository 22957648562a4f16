//! What every object needs to be one. Must not do anything.

/// KERNEL: helpers such as bpf_probe_read_kernel and bpf_loop are for GPL-compatible programs only.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // No path leads here: the verifier would refuse an endless loop.
    loop {}
}
