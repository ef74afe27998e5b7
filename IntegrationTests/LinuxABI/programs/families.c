// Processes that come and go while threads map, write and unmap: forks see their parent's memory of one moment, programs start with theirs
// alone, and memory of the ones before is free again.
#include "show.h"
#include <pthread.h>
#include <sys/mman.h>

static char *self;
static int failures;  // written by threads, read after they are joined

static void check(int condition) {
    if (!condition) __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

static int reaped(pid_t child) {
    int status = -1;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void *anonymous(void *unused) {
    for (int i = 0; i < 1000; i++) {
        char *memory = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memory[0] = 1;
        memory[8192] = 2;
        check(memory[4096] == 0 && memory[12288] == 0);
        munmap(memory, 4 * 4096);
    }
    return 0;
}

// As a program loader: a file, other things over parts of it, and only then a touch.
static void *loader(void *unused) {
    int file = open(self, O_RDONLY);
    for (int i = 0; i < 300; i++) {
        char *memory = mmap(0, 16 * 4096, PROT_READ, MAP_PRIVATE, file, 0);
        mmap(memory + 4096, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0);
        mmap(memory + 3 * 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        munmap(memory + 8 * 4096, 8 * 4096);
        if (i & 1) mprotect(memory, 4096, PROT_NONE);
        check(memcmp(memory + 4096, "\177ELF", 4) == 0 && memory[3 * 4096] == 0);
        memory[4096] = 'x';
        memory[3 * 4096] = 1;
        check(memcmp(memory + 4096, "xELF", 4) == 0);
        if (!(i & 1)) check(memcmp(memory, "\177ELF", 4) == 0);
        munmap(memory, 8 * 4096);
    }
    close(file);
    return 0;
}

static void families(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, i & 1 ? loader : anonymous, 0);
    for (int i = 0; i < 60; i++) {
        char block[64], value = (char)i;
        memset(block, value, sizeof block);
        pid_t child = i % 3 == 0 ? vfork() : fork();
        if (child == 0) {
            if (i % 3 == 2) {
                // Not seen by the parent, nor the parent's later writes here.
                for (unsigned j = 0; j < sizeof block; j++) check(block[j] == value);
                memset(block, 99, sizeof block);
                _exit(failures == 0 ? 7 : 8);
            }
            char *arguments[] = {"families", "seven", 0};
            execv(self, arguments);
            _exit(1);
        }
        if (i % 3 == 2) memset(block, value, sizeof block);
        check(reaped(child) == 7);
        for (unsigned j = 0; j < sizeof block; j++) check(block[j] == value);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("families: %d failures\n", failures);
}

// A process that runs program after program, each of which fills new memory.
static int chain(int left) {
    size_t size = 8 << 20;
    char *memory = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), number[12];
    for (size_t i = 0; i < size; i += 4096)
        if (memory[i]++ != 0) return 1;
    if (left == 0) return 9;
    sprintf(number, "%d", left - 1);
    char *arguments[] = {"families", "chain", number, 0};
    execv(self, arguments);
    return 2;
}

int main(int count, char **arguments) {
    self = realpath("/proc/self/exe", 0);
    if (count > 1 && strcmp(arguments[1], "seven") == 0) return 7;
    if (count > 2) return chain(atoi(arguments[2]));
    families();
    pid_t child = fork();
    if (child == 0) _exit(chain(20));
    printf("chain: %d\n", reaped(child));
    return 0;
}
