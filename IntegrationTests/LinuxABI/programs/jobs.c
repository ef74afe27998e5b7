// Sessions, process groups, controlling terminals, pseudo-terminals and their line discipline, job control.
#include "show.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

static void handler(int signal) { note("handled SIG%s", sigabbrev_np(signal)); }

static void groups(void) {
    topic("groups and sessions");
    pid_t child = fork();
    if (!child) {
        SHOW(setsid() == getpid());
        SHOW(setsid());
        SHOW(getsid(0) == getpid());
        SHOW(getpgrp() == getpid());
        SHOW(setpgid(0, 0));
        SHOW(setpgid(0, 1 << 29));
        SHOW(setpgid(1 << 29, 0));
        SHOW(getpgid(1 << 29));
        SHOW(open("/dev/tty", O_RDWR));
        SHOW(tcgetpgrp(0));
        int ends[2];
        pipe(ends);
        pid_t inner = fork();
        if (!inner) {
            SHOW(setpgid(0, 0));
            SHOW(getpgrp() == getpid());
            SHOW(getsid(0) == getppid());
            write(ends[1], "x", 1);
            pause();
            _exit(0);
        }
        char byte;
        read(ends[0], &byte, 1);
        SHOW(kill(-inner, SIGTERM));
        reap("inner", inner);
        SHOW(kill(-inner, SIGTERM));
        exit(0);
    }
    reap("session", child);
}

// Reads what the terminal sends until it has been quiet for a moment.
static void drain(int master, const char *who) {
    char buffer[1000];
    long total = 0;
    struct pollfd set = {master, POLLIN, 0};
    while (total < 900 && poll(&set, 1, 200) > 0) {
        long got = read(master, buffer + total, sizeof buffer - total);
        if (got <= 0) { note("%s: end %s", who, got < 0 ? strerrorname_np(errno) : ""); break; }
        total += got;
    }
    printf("%s: ", who);
    for (long i = 0; i < total; i++) {
        unsigned char c = buffer[i];
        if (c < 32 || c > 126) printf("\\%03o", c); else putchar(c);
    }
    printf("\n");
    fflush(stdout);
}

static void discipline(void) {
    topic("line discipline");
    int master, slave;
    SHOW(openpty(&master, &slave, 0, 0, 0) == 0);
    SHOW(isatty(master));
    SHOW(isatty(slave));
    char buffer[200] = {0};
    write(slave, "one\ntwo\n", 8);
    drain(master, "output");
    write(master, "typed\r", 6);
    SHOW(read(slave, buffer, 100));
    note("%s", buffer);
    drain(master, "echo");
    write(master, "wrongg\177\177\177\177\177\177right\n", 18);
    memset(buffer, 0, 200);
    SHOW(read(slave, buffer, 100));
    note("%.5s", buffer);
    drain(master, "erased");
    write(master, "gone\025kept\n", 10);
    memset(buffer, 0, 200);
    SHOW(read(slave, buffer, 100));
    note("%.4s", buffer);
    drain(master, "killed line");
    write(master, "part\004", 5);
    SHOW(read(slave, buffer, 100));
    write(master, "\004", 1);
    SHOW(read(slave, buffer, 100));
    drain(master, "end of file");
    struct termios settings;
    SHOW(tcgetattr(slave, &settings));
    note("flags %o %o %o %o min %d", settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag, settings.c_cc[VMIN]);
    cfmakeraw(&settings);
    SHOW(tcsetattr(slave, TCSANOW, &settings));
    write(master, "raw\r\003", 5);
    SHOW(read(slave, buffer, 100));
    note("%d %d", buffer[3], buffer[4]);
    write(slave, "a\n", 2);
    drain(master, "raw output");
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = 1;
    tcsetattr(slave, TCSANOW, &settings);
    SHOW(read(slave, buffer, 100));
    struct winsize size = {30, 100, 0, 0};
    SHOW(ioctl(master, TIOCSWINSZ, &size));
    memset(&size, 0, sizeof size);
    SHOW(ioctl(slave, TIOCGWINSZ, &size));
    note("%d x %d", size.ws_col, size.ws_row);
    SHOW(ioctl(slave, 0x5499, &size));
    close(slave);
    SHOW(read(master, buffer, 10));
    close(master);
    int file = open("plain", O_CREAT | O_RDWR, 0600);
    SHOW(isatty(file));
    SHOW(tcgetattr(file, &settings));
}

static void control(void) {
    topic("job control");
    int master;
    pid_t child = forkpty(&master, 0, 0, 0);
    if (!child) {
        signal(SIGINT, handler);
        signal(SIGWINCH, handler);
        SHOW(tcgetpgrp(0) == getpid());
        SHOW(open("/dev/tty", O_RDWR) >= 0);
        note("ready");
        pause();
        pause();
        int status;
        pid_t background = fork();
        if (!background) {
            setpgid(0, 0);
            char byte;
            read(0, &byte, 1);
            _exit(1);
        }
        waitpid(background, &status, WUNTRACED);
        show_status("reader in the background", status);
        kill(background, SIGKILL);
        waitpid(background, &status, 0);
        struct termios settings;
        tcgetattr(0, &settings);
        background = fork();
        if (!background) {
            setpgid(0, 0);
            tcsetattr(0, TCSANOW, &settings);
            _exit(1);
        }
        waitpid(background, &status, WUNTRACED);
        show_status("setter in the background", status);
        kill(background, SIGKILL);
        waitpid(background, &status, 0);
        background = fork();
        if (!background) {
            setpgid(0, 0);
            while (tcgetpgrp(0) != getpid()) rest(1);
            note("foreground");
            raise(SIGTSTP);
            note("again");
            _exit(7);
        }
        setpgid(background, background);
        signal(SIGTTOU, SIG_IGN);
        int moved = tcsetpgrp(0, background);
        waitpid(background, &status, WUNTRACED);
        note("in the foreground %d", moved);  // not before: the job speaks, too
        show_status("job", status);
        kill(background, SIGCONT);
        waitpid(background, &status, 0);
        show_status("job", status);
        SHOW(tcsetpgrp(0, getpid()));
        SHOW(tcsetpgrp(0, 1 << 29));
        note("done");
        pause();
        _exit(3);
    }
    drain(master, "start");
    write(master, "\003", 1);
    drain(master, "interrupted");
    struct winsize size = {40, 120, 0, 0};
    ioctl(master, TIOCSWINSZ, &size);
    for (int i = 0; i < 5; i++) drain(master, "jobs");
    write(master, "\034", 1);
    int status;
    waitpid(child, &status, 0);
    note("ended by signal %d", WTERMSIG(status));
    drain(master, "after");
    close(master);
    topic("hang-up");
    child = forkpty(&master, 0, 0, 0);
    if (!child) { note("waiting"); for (;;) pause(); }
    drain(master, "start");
    close(master);
    reap("hung up", child);
}

int main(void) {
    workplace("jobs");
    groups();
    discipline();
    control();
    return 0;
}
