// The fixed addresses of a stub process: shared by the stub's assembly and by the code that builds its image.
#ifndef STUB_LAYOUT_H
#define STUB_LAYOUT_H

// One page of ELF header, code and constants: read-only, executable. Guest memory ends here.
#define STUB_BASE 0x7fffff800000
#define STUB_CODE_OFFSET 0x200
#define STUB_IMAGE_SIZE 0x1000
// One page of private memory for messages while the stub is made; unmapped by the first batch.
#define STUB_SCRATCH (STUB_BASE + 0x1000)
// The command ring: written by the Sentry, read-only here.
#define STUB_RING (STUB_BASE + 0x10000)
#define STUB_RING_SIZE 0x4000
#define STUB_RING_ENTRY 64
#define STUB_RING_ENTRIES (STUB_RING_SIZE / STUB_RING_ENTRY)
// TASK_SIZE_MAX of x86-64 with four-level page tables.
#define STUB_USER_END 0x7ffffffff000

// Descriptors, by construction: the source has only 0 and 1, so its socket pairs are always 2 and 3.
#define STUB_COMMAND_SOCKET 0
#define STUB_RING_FILE 1
#define STUB_PAIR_SENTRY 2
#define STUB_PAIR_CHILD 3

// The message header that a new stub hands its listener over with; the filter allows sendmsg of this address only.
#define STUB_MESSAGE (STUB_SCRATCH + 64)

#endif
