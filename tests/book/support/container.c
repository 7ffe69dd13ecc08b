/* A container by hand: clone(2) with a flag for each word, such as `container uts pid mount`. */
#define _GNU_SOURCE
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *words[] = { "uts", "ipc", "pid", "mount", "user", "net" };
static const int bits[] = { CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNS,
                            CLONE_NEWUSER, CLONE_NEWNET };
static char stack[1 << 20];
static int flags, ready[2];

static int child(void *unused)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    close(ready[1]);
    read(ready[0], &lo.ifr_hwaddr, 1); /* returns when the maps are written */
    if (flags & CLONE_NEWUTS) sethostname("container", 9);
    if (flags & CLONE_NEWIPC) msgget(4711, IPC_CREAT | 0600);
    if (flags & CLONE_NEWNS) mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (flags & CLONE_NEWNS) mount("proc", "/proc", "proc", 0, NULL);
    if (flags & CLONE_NEWNET) ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &lo);
    return execl("/bin/sh", "sh", NULL);
}

static void map(pid_t pid, const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    FILE *out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
}

int main(int argc, char **argv)
{
    for (int arg = 1; arg < argc; arg++)
        for (int i = 0; i < 6; i++)
            if (!strcmp(argv[arg], words[i])) flags |= bits[i];
    pipe(ready);
    pid_t pid = clone(child, stack + sizeof stack, flags | SIGCHLD, NULL);
    if (pid < 0) return perror("clone"), 1;
    if (flags & CLONE_NEWUSER) {
        map(pid, "setgroups", "deny");
        map(pid, "uid_map", "0 0 1");
        map(pid, "gid_map", "0 0 1");
    }
    close(ready[1]);
    int status;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
