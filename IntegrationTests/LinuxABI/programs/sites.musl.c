// Places of system calls as compilers and C libraries write them, made so often that a kernel may change their code: with threads, signals and cancellation on
// top, which come to them at any moment.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern const char __executable_start[], etext[];
static volatile long alarms, strange;

// Where a thread is told to have been is its own code.
static void on_alarm(int signal, siginfo_t *info, void *context) {
    uintptr_t place = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    alarms++;
    if (place < (uintptr_t)__executable_start || place >= (uintptr_t)etext) strange++;
}

// Each takes a number in %rdi, and returns what the call does, changed in a way of its own.
#define FORM(name, behind)                                                                                                                                 \
    __asm__(".text\n.balign 16\n" #name ":\n\tmov %rdi, %rax\n\tmov %rsi, %rdi\n\tsyscall\n\t" behind "\n");                                                  \
    long name(long number, long argument)
FORM(form_return, "ret");
FORM(form_return_and_code, "ret\n\tmov $1, %eax\n\tret");
FORM(form_copy_and_call, "mov %rax, %rdi\n\tcall 1f\n\tadd $1, %rax\n\tret\n1:\tlea 5(%rdi), %rax\n\tret");
FORM(form_test_and_branch, "test %rax, %rax\n\tjs 1f\n\tadd $2, %rax\n\tret\n1:\tneg %rax\n\tret");
FORM(form_compare_and_branch, "cmp $-38, %rax\n\tjne 1f\n\txor %eax, %eax\n1:\tret");
FORM(form_short_branch, "test %eax, %eax\n\tjns 1f\n\tneg %eax\n1:\tret");
FORM(form_stack, "push %rax\n\tpop %rdx\n\tmov %rdx, %rax\n\tret");
FORM(form_loop, "mov $3, %ecx\n1:\tadd $1, %rax\n\tdec %ecx\n\tjnz 1b\n\tret");
FORM(form_hot_loop, "mov %eax, %edx\n\txor %ecx, %ecx\n1:\tinc %ecx\n\tcmp $9, %ecx\n\tjne 1b\n\tlea (%rdx,%rcx), %eax\n\tcltq\n\tret");
FORM(form_carry, "adc $0, %rax\n\tret");
FORM(form_memory, "mov %rax, -16(%rsp)\n\tmov -16(%rsp), %eax\n\tcltq\n\tret");
FORM(form_relative, "mov 1f(%rip), %edx\n\tadd %rdx, %rax\n\tret\n1:\t.long 1000");
FORM(form_jump, "jmp 1f\n\tud2\n2:\tadd $3, %rax\n\tret\n1:\tjmp 2b");

static const struct {
    const char *name;
    long (*call)(long, long);
} forms[] = {
    {"return", form_return}, {"return and code", form_return_and_code}, {"copy and call", form_copy_and_call}, {"test and branch", form_test_and_branch},
    {"compare and branch", form_compare_and_branch}, {"short branch", form_short_branch}, {"stack", form_stack}, {"loop", form_loop},
    {"hot loop", form_hot_loop}, {"carry", form_carry}, {"memory", form_memory}, {"relative", form_relative}, {"jump", form_jump},
};
enum { FORMS = sizeof forms / sizeof forms[0], CALLS = 600 };

// Results of a call that succeeds, of one that fails, and of one that does not exist: the same each time.
static void *use_forms(void *results) {
    long(*sums)[3] = results;
    for (int form = 0; form < FORMS; form++)
        for (int i = 0; i < CALLS; i++) {
            sums[form][0] += forms[form].call(SYS_umask, 022);
            sums[form][1] += forms[form].call(SYS_close, -1);
            sums[form][2] += forms[form].call(999, 0);
        }
    return results;
}

static int ends[2];
static void *read_for_ever(void *unused) {
    char c;
    for (;;) (void)!read(ends[0], &c, 1);
    return unused;
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    umask(022);
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    struct itimerval each = {{0, 700}, {0, 700}};
    setitimer(ITIMER_REAL, &each, 0);

    static long sums[4][FORMS][3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], 0, use_forms, sums[i]);
    use_forms(sums[3]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
    for (int form = 0; form < FORMS; form++) {
        int same = 1;
        for (int i = 0; i < 3; i++) same &= !memcmp(sums[i][form], sums[3][form], sizeof sums[i][form]);
        printf("%s: %ld %ld %ld %s\n", forms[form].name, sums[3][form][0], sums[3][form][1], sums[3][form][2], same ? "each" : "DIFFERENT");
    }

    // The C library's own places, with processes made in between.
    long bytes = 0;
    char buffer[64] = "x";
    (void)!pipe(ends);
    for (int i = 0; i < 2000; i++) {
        bytes += write(ends[1], buffer, 1 + i % 32);
        bytes += read(ends[0], buffer, sizeof buffer);
        if (i % 400 == 0) {
            pid_t child = fork();
            if (!child) _exit(read(ends[0], buffer, 0) == 0 && write(ends[1], buffer, 0) == 0 ? 7 : 8);
            int status;
            while (waitpid(child, &status, 0) < 0) {}
            bytes += WEXITSTATUS(status);
        }
    }
    printf("bytes: %ld\n", bytes);

    // A thread that is cancelled ends, wherever in its call it is: the library compares its place with where that begins and ends.
    int cancelled = 0;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, 0, read_for_ever, 0);
        for (int k = 0; k < i % 8; k++) (void)!write(ends[1], buffer, 1);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("cancelled: %d\n", cancelled);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);
    printf("alarms: %s, strange: %ld\n", alarms > 0 ? "some" : "none", strange);
    return 23;
}
