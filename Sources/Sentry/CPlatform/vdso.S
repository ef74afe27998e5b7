// The guest's vDSO: an ELF shared object of one page (vdso(7)). Its clock calls go on to the host's own vDSO, which a stub keeps out of the guest's
// reach of mmap, so that they cost what they cost natively; getcpu and unknown clocks are system calls, which the Sentry serves. The slots at the end
// are filled in when the stub's image is built.
    .section .rodata.cplatform_vdso, "a", @progbits
    .balign 16
    .globl cplatform_vdso_begin
    .hidden cplatform_vdso_begin
cplatform_vdso_begin:
base:
    // Elf64_Ehdr
    .byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0
    .word 3, 62                     // ET_DYN, EM_X86_64
    .long 1
    .quad 0                         // e_entry
    .quad segments - base
    .quad 0                         // no section headers
    .long 0
    .word 64, 56, 2, 0, 0, 0
segments:
    // PT_LOAD, R X
    .long 1, 5
    .quad 0, 0, 0
    .quad end - base, end - base
    .quad 4096
    // PT_DYNAMIC, R
    .long 2, 4
    .quad dynamic - base, dynamic - base, dynamic - base
    .quad dynamic_end - dynamic, dynamic_end - dynamic
    .quad 8

    .balign 8
dynamic:
    .quad 14, name_soname - strings     // DT_SONAME
    .quad 4, hash - base                // DT_HASH
    .quad 5, strings - base             // DT_STRTAB
    .quad 6, symbols - base             // DT_SYMTAB
    .quad 10, strings_end - strings     // DT_STRSZ
    .quad 11, 24                        // DT_SYMENT
    .quad 0x6ffffff0, versions - base   // DT_VERSYM
    .quad 0x6ffffffc, definitions - base    // DT_VERDEF
    .quad 0x6ffffffd, 2                 // DT_VERDEFNUM
    .quad 0, 0
dynamic_end:

    // STB_GLOBAL or STB_WEAK, STT_FUNC, STV_DEFAULT. The section index stands for "defined"; there are no sections.
    .macro symbol name, binding, function
    .long \name - strings
    .byte (\binding << 4) | 2, 0
    .word 1
    .quad \function - base, \function\()_end - \function
    .endm
    .balign 8
symbols:
    .quad 0, 0, 0
    symbol name_vdso_clock_gettime, 1, clock_gettime
    symbol name_clock_gettime, 2, clock_gettime
    symbol name_vdso_gettimeofday, 1, gettimeofday
    symbol name_gettimeofday, 2, gettimeofday
    symbol name_vdso_time, 1, time
    symbol name_time, 2, time
    symbol name_vdso_clock_getres, 1, clock_getres
    symbol name_clock_getres, 2, clock_getres
    symbol name_vdso_getcpu, 1, getcpu
    symbol name_getcpu, 2, getcpu

    // One bucket, one chain through all symbols.
hash:
    .long 1, 11
    .long 1
    .long 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0

versions:
    .word 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2
    .balign 8
definitions:
    // Elf64_Verdef: version, flags (VER_FLG_BASE), index, count, hash of the name, offset of the Verdaux, offset of the next
    .word 1, 1, 1, 1
    .long 0x0deebfa1, 20, 28
    .long name_soname - strings, 0
    .word 1, 0, 2, 1
    .long 0x03ae75f6, 20, 0
    .long name_version - strings, 0

strings:
    .byte 0
name_soname: .asciz "linux-vdso.so.1"
name_version: .asciz "LINUX_2.6"
name_vdso_clock_gettime: .ascii "__vdso_"
name_clock_gettime: .asciz "clock_gettime"
name_vdso_gettimeofday: .ascii "__vdso_"
name_gettimeofday: .asciz "gettimeofday"
name_vdso_time: .ascii "__vdso_"
name_time: .asciz "time"
name_vdso_clock_getres: .ascii "__vdso_"
name_clock_getres: .asciz "clock_getres"
name_vdso_getcpu: .ascii "__vdso_"
name_getcpu: .asciz "getcpu"
strings_end:

    // The host's function where it has one, the system call otherwise.
    .macro forward function, number, slot
    .balign 16
\function:
    movq \slot(%rip), %rax
    testq %rax, %rax
    jz 1f
    jmp *%rax
1:  movl $\number, %eax
    syscall
    ret
\function\()_end:
    .endm
    forward clock_gettime, 228, slot_clock_gettime
    forward gettimeofday, 96, slot_gettimeofday
    forward time, 201, slot_time
    forward clock_getres, 229, slot_clock_getres
    .balign 16
getcpu:
    movl $309, %eax
    syscall
    ret
getcpu_end:

    .balign 8
    .globl cplatform_vdso_slots
    .hidden cplatform_vdso_slots
cplatform_vdso_slots:
slot_clock_gettime: .quad 0
slot_gettimeofday: .quad 0
slot_time: .quad 0
slot_clock_getres: .quad 0
end:
    .globl cplatform_vdso_end
    .hidden cplatform_vdso_end
cplatform_vdso_end:

    .section .note.GNU-stack, "", @progbits
