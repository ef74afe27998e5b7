#pragma once

// A system call through the entry for 32-bit programs (int 0x80): its result as that entry gives it.
long cprobe_int80(long number, long a, long b, long c);

// process_vm_readv or process_vm_writev of one byte of process `pid`: 1, or a negated errno.
long cprobe_process_vm(long number, long pid);
