// The fixed addresses of a stub process: shared by the stub's assembly and by the code that builds its image.
#ifndef STUB_LAYOUT_H
#define STUB_LAYOUT_H

// ELF header, code and constants, then the guest's vDSO: read-only, executable. Guest memory ends here.
#define STUB_BASE 0x7ffe00000000
#define STUB_CODE_OFFSET 0x200
#define STUB_CODE_SIZE 0x2000
#define STUB_VDSO (STUB_BASE + STUB_CODE_SIZE)
#define STUB_VDSO_SIZE 0x1000
#define STUB_IMAGE_SIZE (STUB_CODE_SIZE + STUB_VDSO_SIZE)
// One page of private memory for messages while the stub is made; unmapped by the first batch.
#define STUB_SCRATCH (STUB_BASE + STUB_IMAGE_SIZE)
// The command ring: written by the Sentry, read-only here.
#define STUB_RING (STUB_BASE + 0x10000)
#define STUB_RING_SIZE 0x4000
#define STUB_RING_ENTRY 64
#define STUB_RING_ENTRIES (STUB_RING_SIZE / STUB_RING_ENTRY)
// The host's vDSO and its data pages, moved here from where execve put them.
#define STUB_HOST_VDSO (STUB_BASE + 0x20000)
#define STUB_HOST_VDSO_SIZE 0x20000
#define STUB_HOST_VDSO_PARTS 4
// systrap: the guest threads' slots, shared with the Sentry. A slot is a context (systrap_context.h) below an alternate signal stack.
#define STUB_SLOTS (STUB_BASE + 0x10000000)
#define STUB_SLOT_SIZE 0x4000
#define STUB_CHUNK_SLOTS 16
#define STUB_CHUNK_SIZE (STUB_SLOT_SIZE * STUB_CHUNK_SLOTS)
// TASK_SIZE_MAX of x86-64 with four-level page tables.
#define STUB_USER_END 0x7ffffffff000

// Descriptors, by construction: the source has only 0, 1 and 2, so its socket pairs are always 3 and 4.
#define STUB_COMMAND_SOCKET 0
#define STUB_RING_FILE 1
#define STUB_SLOT_FILE 2
#define STUB_PAIR_SENTRY 3
#define STUB_PAIR_CHILD 4

// The message header that a new stub hands its listener over with; the filter allows sendmsg of this address only.
#define STUB_MESSAGE (STUB_SCRATCH + 64)

// The words of a slot, by their offsets. All but the values named are any guest thread's to overwrite.
#define SLOT_TURN 0            // 32 bits; futex
#define SLOT_SPIN 4            // 32 bits: how often the stub looks before it sleeps; written by the Sentry
#define SLOT_ACTION 8          // 32 bits: what the stub does when it is its turn
#define SLOT_SIGNAL 12         // 32 bits: the signal whose frame this is
#define SLOT_FRAME 16          // address of the ucontext
#define SLOT_INFO 24           // address of the siginfo
#define SLOT_FS_BASE 32
#define SLOT_GS_BASE 40
#define SLOT_SEQUENCE 48       // 32 bits: counts the calls that came through a trampoline
#define SLOT_YIELDS 52         // 32 bits: how often the stub lets others run, after it has looked, before it sleeps; written by the Sentry
// The registers of a guest thread that gave its turn without a frame, and what it shall resume with. RCX and R11 are the call's to destroy: the
// first holds the address that the guest would see behind its `syscall`, the second the one to go on at.
#define SLOT_RAX 64
#define SLOT_RBX 72
#define SLOT_RCX 80
#define SLOT_RDX 88
#define SLOT_RSI 96
#define SLOT_RDI 104
#define SLOT_RBP 112
#define SLOT_RSP 120
#define SLOT_R8 128
#define SLOT_R9 136
#define SLOT_R10 144
#define SLOT_R11 152
#define SLOT_R12 160
#define SLOT_R13 168
#define SLOT_R14 176
#define SLOT_R15 184
#define SLOT_FLAGS 192
#define SLOT_TARGET 200
// What the stub may answer itself: each word is the answer plus one, or 0 when the Sentry is to be asked. Written by the Sentry.
#define SLOT_ANSWERS 256
#define ANSWER_YIELD 0         // sched_yield(2): any answer, the host is asked
#define ANSWER_PROCESS 8
#define ANSWER_THREAD 16
#define ANSWER_USER 24
#define ANSWER_EFFECTIVE_USER 32
#define ANSWER_GROUP 40
#define ANSWER_EFFECTIVE_GROUP 48
#define ANSWER_COUNT 7
#define SLOT_STACK 1024        // the signal stack begins here; a few words below it serve to move the flags

// The floating-point state of a thread that has no frame (XSAVE's standard format), at the other end of the stack than a frame, which both fit into.
#define SLOT_STATE 1024
#define SLOT_STATE_LIMIT 6144

#define TURN_GONE 0            // the thread has ended: the host kernel clears the word
#define TURN_STUB 1
#define TURN_SENTRY 2
#define TURN_WAITER 0x100      // whoever waits for its turn sleeps in futex(2)

#define ACTION_RESUME 0
#define ACTION_EXIT 1
#define ACTION_FRAME 2         // raise a signal, so that there is a frame
#define ACTION_YIELD 3         // let others run first, then resume
#define ACTION_SAVE 4          // without a frame: floating-point state to SLOT_STATE, and the turn back
#define ACTION_RESTORE 5       // without a frame: floating-point state from SLOT_STATE, then resume

#define SIGNAL_NONE (-1)       // in SLOT_SIGNAL: a call that came through a trampoline

// Where guest memory holds the trampolines of patched call sites: a table of addresses, whose first entries lead into the stub, then the code. A patched
// `mov $number,%eax; syscall` is `jmp *entry`, whose last two bytes are those of `syscall`, because all entries' addresses begin with 0x050f.
#define TRAMPOLINE_TABLE 0x050fe000
#define TRAMPOLINE_CODE 0x05100000
#define TRAMPOLINE_SIZE 128
#define TRAMPOLINE_COUNT 1024
// The table of the other form, whose entries lie only where each byte of their address is that of an instruction that faults; JUMP_TABLE_COUNT of them do
// between the first such address and the last (`CallSites.Jump`).
#define JUMP_TABLE 0x06e4e000
#define JUMP_TABLE_SIZE 0xb1000
#define JUMP_TABLE_COUNT 256
// The first entries: any call, a call whose number is looked at first, sched_yield(2).
#define TRAMPOLINE_CALL 0
#define TRAMPOLINE_ANY_CALL 1
#define TRAMPOLINE_YIELD 2
#define TRAMPOLINE_FIRST 3

#endif
