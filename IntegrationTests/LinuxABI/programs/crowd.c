// Many processes that wake each other through pipes and event counters, and what may happen to one that waits among them: signals with and without restart, the end
// of the other side, death, a stop, a descriptor that another thread replaces.
#include "show.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

enum { PAIRS = 16, ROUNDS = 400 };
static int gate[2];

// A pair that plays ping-pong with numbers, and checks them.
static void play(int in, int out, int starts, int rounds) {
    char byte;
    if (read(gate[0], &byte, 1) != 0) _exit(9);
    for (uint32_t round = 0; round < (uint32_t)rounds; round++) {
        uint32_t got;
        if (starts && write(out, &round, 4) != 4) _exit(1);
        if (read(in, &got, 4) != 4) _exit(2);
        if (got != round) _exit(3);
        if (!starts && write(out, &round, 4) != 4) _exit(4);
    }
    _exit(0);
}

// Starts the pairs, which wait for the gate to be closed.
static void crowd(pid_t players[2 * PAIRS], int rounds) {
    if (pipe(gate) != 0) exit(125);
    for (int pair = 0; pair < PAIRS; pair++) {
        int there[2], back[2];
        if (pipe(there) != 0 || pipe(back) != 0) exit(125);
        for (int side = 0; side < 2; side++) {
            if ((players[2 * pair + side] = fork()) == 0) {
                close(gate[1]);
                if (side == 0) play(back[0], there[1], 1, rounds);
                play(there[0], back[1], 0, rounds);
            }
        }
        close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    }
    close(gate[0]);
}

static int harvest(pid_t players[2 * PAIRS]) {
    int failures = 0, status;
    for (int i = 0; i < 2 * PAIRS; i++)
        if (waitpid(players[i], &status, 0) != players[i] || status != 0) failures++;
    return failures;
}

static volatile sig_atomic_t caught;
static void count(int signal) { (void)signal, caught++; }
static void handle(int signal, int flags) {
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    sigaction(signal, &action, NULL);
}

// Waits until the thread of the process sleeps.
static void await_sleeping_thread(pid_t process, pid_t thread) {
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", process, thread);
    for (;;) {
        FILE *file = fopen(path, "r");
        if (!file) return;
        char *end = fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        fclose(file);
        if (end && end[2] == 'S') return;
        sched_yield();
    }
}

static void await_sleep(pid_t process) { await_sleeping_thread(process, process); }

// A process that has made many short calls by the time it waits for good.
struct subject {
    pid_t process;
    int in, out, result;
};

static struct subject subject(int flags, int by_counter) {
    int in[2], out[2], result[2];
    if (pipe(out) != 0 || pipe(result) != 0) exit(125);
    if (by_counter) in[0] = in[1] = eventfd(0, 0);
    else if (pipe(in) != 0) exit(125);
    pid_t process = fork();
    if (process == 0) {
        if (!by_counter) close(in[1]);
        close(out[0]);
        handle(SIGUSR1, flags);
        uint64_t value;
        for (int i = 0; i < 300; i++)
            if (read(in[0], &value, 8) != 8 || write(out[1], &value, 8) != 8) _exit(1);
        long got = read(in[0], &value, 8);
        int answer[3] = {(int)got, got < 0 ? errno : 0, caught};
        if (write(result[1], answer, sizeof answer) != sizeof answer) _exit(2);
        _exit(0);
    }
    if (!by_counter) close(in[0]);
    close(out[1]), close(result[1]);
    uint64_t value = 1;
    for (int i = 0; i < 300; i++)
        if (write(in[1], &value, 8) != 8 || read(out[0], &value, 8) != 8) exit(124);
    await_sleep(process);
    return (struct subject){process, in[1], out[0], result[0]};
}

static void tell(const char *what, struct subject s) {
    int answer[3];
    long got = read(s.result, answer, sizeof answer);
    if (got == sizeof answer) note("%s: read = %d %s, %d signals", what, answer[0], answer[1] ? strerrorname_np(answer[1]) : "", answer[2]);
    else note("%s: no answer", what);
    reap(what, s.process);
    close(s.in), close(s.out), close(s.result);
}

static void waits(int by_counter) {
    uint64_t value = 7;
    struct subject s = subject(0, by_counter);
    kill(s.process, SIGUSR1);
    tell("interrupted", s);

    s = subject(SA_RESTART, by_counter);
    kill(s.process, SIGUSR1);
    await_sleep(s.process);
    if (write(s.in, &value, 8) != 8) note("write failed");
    tell("restarted", s);

    s = subject(0, by_counter);
    kill(s.process, SIGSTOP);
    int status;
    waitpid(s.process, &status, WUNTRACED);
    show_status("stopped", status);
    kill(s.process, SIGCONT);
    if (write(s.in, &value, 8) != 8) note("write failed");
    tell("continued", s);

    s = subject(0, by_counter);
    kill(s.process, SIGKILL);
    tell("killed", s);

    if (by_counter) return;
    s = subject(0, 0);
    close(s.in);
    s.in = -1;
    tell("hung up", s);
}

// The writer's side: what it writes to goes.
static void broken(void) {
    int ends[2], result[2];
    if (pipe(ends) != 0 || pipe(result) != 0) exit(125);
    pid_t process = fork();
    if (process == 0) {
        close(ends[0]);
        handle(SIGPIPE, 0);
        long done = 0, got;
        while ((got = write(ends[1], "12345678", 8)) == 8) done++;
        int answer[3] = {(int)got, errno, caught};
        if (done < 300 || write(result[1], answer, sizeof answer) != sizeof answer) _exit(2);
        _exit(0);
    }
    close(ends[1]), close(result[1]);
    char buffer[8];
    for (int i = 0; i < 400; i++)
        if (read(ends[0], buffer, 8) != 8) exit(124);
    close(ends[0]);
    int answer[3];
    if (read(result[0], answer, sizeof answer) == sizeof answer)
        note("write = %d %s, %d signals", answer[0], strerrorname_np(answer[1]), answer[2]);
    reap("writer", process);
    close(result[0]);
}

// A thread that reads goes on reading what it began with, whatever its descriptor becomes.
static int replaced[2];
static _Atomic pid_t reading;
static void *reader(void *argument) {
    char buffer[8];
    reading = gettid();
    for (int i = 0; i < 300; i++)
        if (read(replaced[0], buffer, 8) != 8) return "failed early";
    long got = read(replaced[0], buffer, 8);
    (void)argument;
    return got == 8 && buffer[0] == 'o' ? "read from the old pipe" : "read something else";
}
static void replacement(void) {
    int other[2];
    pthread_t thread;
    void *answer;
    if (pipe(replaced) != 0 || pipe(other) != 0 || pthread_create(&thread, NULL, reader, NULL) != 0) exit(125);
    for (int i = 0; i < 300; i++)
        if (write(replaced[1], "12345678", 8) != 8) exit(124);
    int available;
    struct pollfd empty = {.fd = replaced[0], .events = POLLIN};
    do available = poll(&empty, 1, 0); while (available != 0);
    // Everything is read, so it sleeps for what is to come.
    await_sleeping_thread(getpid(), reading);
    dup2(other[0], replaced[0]);
    if (write(replaced[1], "old-pipe", 8) != 8) note("write failed");
    pthread_join(thread, &answer);
    note("%s", (const char *)answer);
    close(replaced[0]), close(replaced[1]), close(other[0]), close(other[1]);
}

static void bad_buffers(void) {
    int ends[2], counter = eventfd(0, EFD_NONBLOCK);
    uint64_t value = 1;
    if (pipe(ends) != 0) exit(125);
    for (int i = 0; i < 300; i++)
        if (write(ends[1], &value, 8) != 8 || read(ends[0], &value, 8) != 8) exit(124);
    void *volatile nowhere = (void *)8;
    SHOW(write(ends[1], nowhere, 8));
    SHOW(write(ends[1], "x", 1));
    SHOW(read(ends[0], nowhere, 1));
    SHOW(read(ends[1], &value, 8));
    SHOW(write(ends[0], &value, 8));
    SHOW(read(counter, &value, 8));
    SHOW(read(counter, &value, 4));
    SHOW(read(-1, &value, 8));
    SHOW(read(ends[0], &value, 0));
    close(ends[0]), close(ends[1]), close(counter);
}

// Memory that nobody has touched yet, on both sides of a page's end, and a file's.
static void new_buffers(void) {
    int ends[2], counter = eventfd(5, 0), self = open("/proc/self/exe", O_RDONLY);
    uint64_t value = 1;
    if (pipe(ends) != 0 || self < 0) exit(125);
    char *fresh = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *program = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, self, 0);
    if (fresh == MAP_FAILED || program == MAP_FAILED) exit(125);
    for (int i = 0; i < 300; i++)
        if (write(ends[1], &value, 8) != 8 || read(ends[0], &value, 8) != 8) exit(124);
    SHOW(write(ends[1], fresh + 4096 - 50, 100));
    SHOW(write(ends[1], program, 4));
    SHOW(read(ends[0], fresh + 3 * 4096 - 52, 104));
    SHOW(memcmp(fresh + 3 * 4096 + 48, "\177ELF", 4));
    for (int i = 0; i < 300; i++)
        if (write(ends[1], &value, 8) != 8 || read(ends[0], &value, 8) != 8) exit(124);
    SHOW(read(counter, program + 4096, 8));
    SHOW(program[4096]);
    for (int i = 0; i < 300; i++)
        if (write(ends[1], program + 8192, 8) != 8 || read(ends[0], program + 8192, 8) != 8) exit(124);
    munmap(fresh, 4 * 4096), munmap(program, 3 * 4096);
    close(ends[0]), close(ends[1]), close(counter), close(self);
}

int main(void) {
    pid_t players[2 * PAIRS];
    topic("a crowd");
    crowd(players, ROUNDS);
    close(gate[1]);
    note("%d failures", harvest(players));

    topic("waits in a crowd");
    // They play until they are killed.
    crowd(players, INT_MAX);
    close(gate[1]);
    waits(0);
    waits(1);
    broken();
    replacement();
    bad_buffers();
    new_buffers();
    int killed = 0, status;
    for (int i = 0; i < 2 * PAIRS; i++) kill(players[i], SIGKILL);
    for (int i = 0; i < 2 * PAIRS; i++)
        if (waitpid(players[i], &status, 0) == players[i] && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) killed++;
    note("%d killed", killed);
    return 0;
}
